"""A line that a member leaves on a good day for themselves on a harder one: asked for at most twice a year, kept
encrypted, given back after a 2 if they want that, and read or removed on their own page.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer
from service.actions.tools.topics import folded
from service.errors import Invalid
from service.models.checkins import OwnLine
from service.models.members import Member, MemberState

A_YEAR = timedelta(days=365)
TIMES = 2
"""How often in a year it is asked for."""
ANSWER_WITHIN = timedelta(hours=48)
AGAIN_AFTER = timedelta(days=7)
"""A line is given back at most this often: twice in a bad week it would be a machine."""
SHORTEST, LONGEST = 3, 300
"""Words that make a line, and letters that fit one."""
WORDS = frozenset(["line", "a line", "my line", "frase", "una frase", "mi frase"])
GONE = frozenset(
    ["no line", "forget line", "forget my line", "remove line", "remove my line", "delete line", "delete my line",
     "no frase", "sin frase", "quitar frase", "quita mi frase", "borrar frase", "borra mi frase"]
)  # fmt: skip


def may_ask(session: Session, member: Member) -> bool:
    """Whether a 4 or 5 may be followed by the offer: no line is kept, and it was made once at most in a year."""
    asked = select(OwnLine.asked_at, OwnLine.words.is_not(None)).where(OwnLine.member_id == member.id)
    with session.no_autoflush:  # the answer that has just been taken changes no line
        rows = session.execute(asked).all()
    since = clock.now() - A_YEAR
    return not any(kept for _, kept in rows) and sum(at > since for at, _ in rows) < TIMES


def note_asked(session: Session, member: Member) -> None:
    """Keep that it was offered now."""
    session.add(OwnLine(id=db.uuid7(), member_id=member.id, asked_at=clock.now()))


def current(session: Session, member_id: UUID) -> OwnLine | None:
    """The line that a member has, if any."""
    kept = select(OwnLine).where(OwnLine.member_id == member_id, OwnLine.words.is_not(None))
    return session.scalar(kept.order_by(OwnLine.left_at.desc()).limit(1))


def hear(session: Session, incoming: Incoming) -> str | None:
    """LINE, what is written right after it, and NO LINE. Words with risk in them never come this far."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    said = folded(incoming.arrived.words)
    if said in GONE:
        remove(session, member.id)
        answer(session, incoming, "line_gone")
        return "keyword LINE"
    if said in WORDS:
        answer(session, incoming, "line_write")
        return "keyword LINE"
    if not _just_asked(incoming) or not _is_line(incoming):
        return None
    words = " ".join(incoming.arrived.words.split())
    if len(words) > LONGEST:
        answer(session, incoming, "line_write")  # the same again: it says how long it can be
        return "keyword LINE"
    row = keep(session, member, words)
    undo.remember(session, member, incoming.message, "line", {"id": str(row.id)})
    answer(session, incoming, "line_kept")
    return "keyword LINE"


def _just_asked(incoming: Incoming) -> bool:
    """Whether the last thing that we said to them was the request for their line."""
    last = next(iter(incoming.lately.lines(ANSWER_WITHIN)), None)
    if last is None or last.template != "line_write":
        return False
    return not (incoming.asked and incoming.asked[0].at > last.at)


def _is_line(incoming: Incoming) -> bool:
    """Whether it reads like a sentence and not like a command, a number, or a wish to stop."""
    read = incoming.read
    return len(incoming.arrived.words.split()) >= SHORTEST and not (
        read.keyword or read.weak_opt_out or read.odd_number or incoming.message.automatic
    )


def keep(session: Session, member: Member, words: str, *, give_back: bool = True) -> OwnLine:
    """Keep a line in place of an earlier one, which is forgotten. Raises Invalid for one that is empty or too long."""
    words = " ".join(words.split())
    if not words:
        raise Invalid("Write a few words first.", field="words")
    if len(words) > LONGEST:
        raise Invalid("Please make it a little shorter: 300 letters at most.", field="words")
    now = clock.now()
    remove(session, member.id)
    offered = session.scalar(
        select(OwnLine)
        .where(OwnLine.member_id == member.id, OwnLine.left_at.is_(None))
        .order_by(OwnLine.asked_at.desc())
        .limit(1)
    )
    row = offered or OwnLine(id=db.uuid7(), member_id=member.id, asked_at=now)
    row.words, row.left_at, row.give_back, row.given_at = words, now, give_back, None
    session.add(row)
    session.flush()
    return row


def give_back(session: Session, member: Member) -> str | None:
    """The line for this hard day, noted as given; None without one, or if it came back a moment ago."""
    row = current(session, member.id)
    now = clock.now()
    if row is None or not row.give_back or member.held_at is not None:
        return None
    if row.left_at is None or row.left_at > now - timedelta(hours=12):
        return None  # left today: it would only be an echo
    if row.given_at is not None and row.given_at > now - AGAIN_AFTER:
        return None
    row.given_at = now
    return row.words


def remove(session: Session, member_id: UUID) -> bool:
    """Forget every line of a member; whether there was one. That they were asked stays, so that nobody asks again."""
    found = session.scalars(select(OwnLine).where(OwnLine.member_id == member_id, OwnLine.words.is_not(None))).all()
    for row in found:
        row.words = None
    session.flush()
    return bool(found)
