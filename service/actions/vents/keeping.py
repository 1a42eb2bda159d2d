"""A vent while it is written and while it is kept: each piece at once, so that nothing waits for a word like PASS."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.models.conversations import Message
from service.models.members import ChannelName, Member
from service.models.vents import Vent, VentPiece

USUAL_DAYS = 14
CHOICES = {"a": 1, "b": 7, "c": 30}
"""Days for which a vent is kept, by the letter of our question; without a choice USUAL_DAYS."""
DAYS = (1, 7, USUAL_DAYS, 30)
QUIET: dict[ChannelName, timedelta] = {ChannelName.SMS: timedelta(hours=1), ChannelName.EMAIL: timedelta(hours=24)}
"""Without a piece for so long a vent is closed: a text after that is about something else. Mails take longer."""
LONGEST = 10_000
"""Characters. What comes after that begins another vent, without a word."""
JOINED_WITHIN = timedelta(minutes=2)
"""A phone cuts long texts anywhere, so pieces that follow each other at once are one paragraph."""


def begin(session: Session, member_id: UUID, channel: ChannelName, days: int = USUAL_DAYS) -> Vent:
    """Open a vent; one that was still open is closed by it."""
    now = clock.now()
    for before in session.scalars(select(Vent).where(Vent.member_id == member_id, Vent.closed_at.is_(None))):
        before.closed_at, before.letters = now, ""
    vent = Vent(
        id=db.uuid7(), member_id=member_id, channel=channel, words="", pieces=0, opened_at=now, last_at=now,
        keep_days=days, forget_at=now + timedelta(days=days), letters="",
    )  # fmt: skip
    session.add(vent)
    session.flush()
    return vent


def open_one(session: Session, member_id: UUID) -> Vent | None:
    """The vent that the member is writing at this moment, if any."""
    newest = select(Vent).where(Vent.member_id == member_id, Vent.closed_at.is_(None))
    vent = session.scalar(newest.order_by(Vent.opened_at.desc()).limit(1))
    return vent if vent is not None and vent.last_at > clock.now() - QUIET[vent.channel] else None


def last_kept(session: Session, member_id: UUID) -> Vent | None:
    """The newest vent of theirs that has words and is still kept, open or not."""
    kept = select(Vent).where(Vent.member_id == member_id, Vent.pieces > 0, Vent.forget_at > clock.now())
    return session.scalar(kept.order_by(Vent.opened_at.desc()).limit(1))


def add(session: Session, vent: Vent, message: Message, words: str) -> Vent:
    """Keep one more piece; the vent that it is in, for a full one is followed by another."""
    now = clock.now()
    if vent.pieces and len(vent.words) + len(words) > LONGEST:
        heard_at = vent.heard_at
        vent = begin(session, vent.member_id, vent.channel, vent.keep_days)
        vent.heard_at = heard_at
    if not vent.pieces:
        vent.words = words.strip()
    else:
        between = " " if now - vent.last_at < JOINED_WITHIN else "\n\n"
        vent.words = f"{vent.words}{between}{words.strip()}"
    vent.pieces += 1
    vent.last_at, vent.read_at, vent.letters = now, None, ""
    vent.forget_at = now + timedelta(days=vent.keep_days)
    session.add(VentPiece(vent_id=vent.id, message_id=message.id))
    session.flush()
    return vent


def keep_for(vent: Vent, days: int) -> datetime:
    """Keep it for so many days from when it was written; returns the moment at which it goes."""
    vent.keep_days, vent.letters = days, ""
    vent.forget_at = vent.last_at + timedelta(days=days)
    return vent.forget_at


def close(vent: Vent) -> None:
    """What comes after this is no longer a part of it."""
    vent.closed_at, vent.letters = clock.now(), ""


def newest_first(session: Session, member: Member) -> list[Vent]:
    """Everything that is kept of a member, for their own page."""
    kept = select(Vent).where(Vent.member_id == member.id, Vent.pieces > 0)
    return list(session.scalars(kept.order_by(Vent.opened_at.desc())))
