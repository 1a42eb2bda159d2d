"""What follows an answer to "How are you today?": the word that came along, what is offered, and what is given back.

A 1 gets no tool but a person (rule of conversation 12); after a 2 or 3 a tool is mentioned, never sent; after a 4 or 5,
now and then, a line for oneself. Nothing of this happens under a flag: those messages go to a person before this.
"""

import re
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.actions import tools
from service.actions.checkins import lines
from service.actions.conversations import duty
from service.actions.conversations.saying import Incoming, answer
from service.models.conversations import CheckIn
from service.models.members import Member

IN_A_ROW = 3
LOW = 2
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_NUMBERS = frozenset(
    ["one", "two", "three", "four", "five", "uno", "dos", "tres", "cuatro", "cinco", "out", "of", "de", "today", "hoy",
     "thanks", "thank", "you", "gracias", "hi", "hello", "hola"]
)  # fmt: skip


def besides(words: str) -> str | None:
    """The answer as it was written, if there is more in it than the number: `4 tired but ok`. None for `4` alone."""
    said = [word.casefold() for word in _LETTERS.findall(words)]
    return words.strip() if any(word not in _NUMBERS for word in said) else None


def extras(session: Session, member: Member, score: int) -> dict[str, Any]:
    """What the answer `checkin_<score>` needs. The check-in itself is stored already."""
    if score == 1:
        return {"when": duty.when_words(session, member)}
    if score == 2:
        stretch = _stretch(session, member)
        when = duty.when_words(session, member) if stretch else ""
        return {"tool": _has_tools(session, member), "stretch": stretch, "when": when}
    if score == 3:
        return {"tool": _has_tools(session, member)}
    return {"line": lines.may_ask(session, member)}


def follow(session: Session, incoming: Incoming, member: Member, score: int, told: dict[str, Any]) -> None:
    """What comes behind the answer: a 4 or 5 may have asked for a line, a 2 may bring one back."""
    if told.get("line"):
        lines.note_asked(session, member)
    if score == LOW and (words := lines.give_back(session, member)):
        answer(session, incoming, "line_back", {"line_words": words})


def _has_tools(session: Session, member: Member) -> bool:
    return bool(tools.current(session, member.language))


def _stretch(session: Session, member: Member) -> bool:
    """Whether this is at least the third low one in a row."""
    last = select(CheckIn.score).where(CheckIn.member_id == member.id).order_by(CheckIn.at.desc()).limit(IN_A_ROW)
    scores = list(session.scalars(last))
    return len(scores) == IN_A_ROW and max(scores) <= LOW
