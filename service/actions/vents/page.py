"""A vent on a member's signed page: judged like everything that they write, kept at once, and shown to nobody through
the link that opened the page. What is kept stands behind the code (`actions.held`), with a way to delete it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service import clock
from service.actions.conversations import duty, on_page, undo
from service.actions.conversations.on_page import Heard
from service.actions.leaving import existing
from service.actions.vents import forgetting, keeping
from service.db import transaction
from service.errors import Invalid
from service.models.members import ChannelName
from service.models.vents import Vent

TWICE = timedelta(minutes=30)
"""The same words within this time are one tap too many, not a second vent."""


@dataclass(frozen=True)
class Said:
    """What became of it."""

    heard: Heard
    until: datetime | None = None
    when: str = ""


def say(member_id: UUID, channel: ChannelName, words: str, days: int, *, answer: bool = False) -> Said:
    """Keep what somebody needed to say for so many days; with `answer` a person writes to them.

    Raises Invalid beside its field, NotFound, and Conflict for somebody who has left.
    """
    words = words.replace("\r\n", "\n").strip()
    if not words:
        raise Invalid("Write a few words first.", field="words")
    if days not in keeping.DAYS:
        raise Invalid("Choose how long it is kept.", field="days")
    if len(words) > keeping.LONGEST:
        raise Invalid("That is more than fits at once. Send it in two parts.", field="words")
    with transaction() as session:
        member = existing(session, member_id)
        last = keeping.last_kept(session, member_id)
        if last is not None and last.words == words and last.last_at > clock.now() - TWICE:
            return Said(Heard.KEPT, last.forget_at)
        written = on_page.take(session, member, channel, words, labels={"did": "vent"}, only_bare_stop=True)
        if written.heard == Heard.STOPPED:
            return Said(Heard.STOPPED)
        vent = keeping.begin(session, member_id, channel, days)
        keeping.add(session, vent, written.message, words)
        keeping.close(vent)
        vent.heard_at = clock.now()
        when = duty.when_words(session, member)
        if written.heard == Heard.KEPT:
            undo.remember(session, member, written.message, "vent", {"id": str(vent.id)})
            if answer or written.unsure:
                on_page.to_person(written.thread)
            vent.answer_wanted_at = clock.now() if answer else None
        return Said(written.heard, vent.forget_at, when if answer or written.heard != Heard.KEPT else "")


def forget(member_id: UUID, vent_id: UUID) -> bool:
    """Delete one of theirs now. False where a flag is open: it goes as soon as that is closed. The caller has seen a
    code. One that is gone already is no error.
    """
    with transaction() as session:
        vent = session.get(Vent, vent_id)
        return forgetting.forget(session, vent) if vent is not None and vent.member_id == member_id else True
