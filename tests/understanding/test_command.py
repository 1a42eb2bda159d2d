"""`hearthline understand` keeps its contract: a JSON object a line, in order, whatever bytes come in."""

import io
import json

from click.testing import CliRunner

from service.cli import main
from service.cli.understand import read_lines


def ask(data: bytes) -> list[dict[str, object]]:
    answers = io.BytesIO()
    read_lines(io.BytesIO(data), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_one_answer_a_line_in_order_blank_and_broken_lines_included() -> None:
    answers = ask(b"STOP\n\ncount me in\r\n4\nestoy bien" + b"\nwant to \xff die\n")
    assert [answer["text"] for answer in answers] == [
        "STOP",
        "",
        "count me in",
        "4",
        "estoy bien",
        "want to \ufffd die",
    ]
    assert [answer["intent"] for answer in answers][:2] == ["opt_out", "none"]
    assert answers[1] == {"text": "", "risk": "none", "intent": "none", "rsvp": "unclear", "checkin": None}
    assert answers[2]["rsvp"] == "yes"
    assert answers[3]["checkin"] == 4


def test_each_answer_is_flushed_before_the_next_line_is_read() -> None:
    class Lines(io.BytesIO):
        seen = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert answers.getvalue().count(b"\n") == self.seen
            self.seen += 1
            return super().readline(size)

    answers = io.BytesIO()
    read_lines(Lines(b"one\ntwo\n"), answers)


def test_a_text_may_print_a_risk_and_an_intent() -> None:
    result = CliRunner().invoke(main, ["understand"], input="stop. i want to die\n")
    answer = json.loads(result.stdout)
    assert (answer["risk"], answer["intent"]) == ("imminent", "opt_out")
