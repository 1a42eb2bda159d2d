"""Texts of two halves, from which the weights of risk learn: always the same, labelled by what is not the stop."""

from itertools import islice

from tests.understanding.corpora import Line
from tests.understanding.together import together

STOPS = ("stop these texts", "no more texts", "ya no me escriban")
WORRIES = {"i want to be gone": "imminent", "nobody would notice": "concern", "para que sigo": "concern"}
ORDINARY = ("we planted beans", "the bus was late again", "llueve en el campo")


def words() -> dict[Line, str]:
    """A few labelled lines with their words."""
    lines = [Line("stop", 1, "opt_out", said, False) for said in STOPS]
    lines += [Line("risk", 1, label, said, False) for said, label in WORRIES.items()]
    lines += [Line("risk", 1, "none", said, False) for said in ORDINARY[1:]]
    lines.append(Line("stop", 1, "none", "stop it you two", False))
    return {line: f" {line.text} . " for line in lines}


def test_each_text_is_a_stop_and_one_other_half_whose_label_it_has() -> None:
    labels = WORRIES | dict.fromkeys(ORDINARY, "none")
    made = list(islice(together(words(), [" we planted beans . "]), 300))
    for label, said in made:
        assert [stop for stop in STOPS if stop in said], said
        assert [half for half in labels if half in said and labels[half] == label], said
        assert "you two" not in said, "a line that asks for no stop is none of the halves"
    assert {label for label, _ in made} == {"imminent", "concern", "none"}


def test_they_are_always_the_same() -> None:
    first, second = (list(islice(together(words(), [" we planted beans . "]), 50)) for _ in range(2))
    assert first == second
