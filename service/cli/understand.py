"""`hearthline understand`: reads texts from standard input and prints what each means: a way to judge the rules."""

import sys
from typing import BinaryIO

import click
import orjson

from service.actions.understanding import Understanding, screen


@click.command()
def understand() -> None:
    """One JSON object for each line of standard input: text, risk, intent, rsvp, checkin.

    rsvp and checkin are read as if an invite, or a 1–5 check-in, were the open question. Bytes that are no UTF-8 are
    replaced; blank lines count; every answer is flushed at once.
    """
    read_lines(sys.stdin.buffer, sys.stdout.buffer)


def read_lines(texts: BinaryIO, answers: BinaryIO) -> None:
    """Answers each line of `texts` on a line of `answers`, in the same order."""
    for line in iter(texts.readline, b""):
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", errors="replace")
        answers.write(orjson.dumps(as_json(text, screen(text))) + b"\n")
        answers.flush()


def as_json(text: str, labels: Understanding) -> dict[str, str | int | None]:
    """The labels that the command prints."""
    return {
        "text": text,
        "risk": labels.risk.value,
        "intent": labels.intent.value,
        "rsvp": labels.rsvp.value if labels.rsvp else "unclear",
        "checkin": labels.checkin,
    }
