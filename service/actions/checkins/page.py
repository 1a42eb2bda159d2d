"""A check-in given on a member's signed page: read like every other message of theirs, risk first, and put before a
person where one should see it. The page shows what was understood; nothing is sent back, but the answer to risk.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import understanding
from service.actions.checkins import lines
from service.actions.conversations import duty, on_page
from service.actions.conversations.on_page import Heard
from service.actions.delivery import release
from service.actions.delivery.history import QUESTION_OPEN
from service.actions.leaving import existing
from service.actions.outbox import conversation_of
from service.actions.understanding import Question, Risk
from service.db import transaction
from service.errors import Invalid
from service.models.campaigns import Asks, Delivery, DeliveryState
from service.models.conversations import CheckIn, Message
from service.models.members import ChannelName, Member

LONGEST = 300
SAME = timedelta(hours=12)
"""Two answers within this time that answer no question are one, changed."""
NEVER_LEFT = (DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED)


def answer(member_id: UUID, channel: ChannelName, score: int, words: str) -> tuple[Heard, str]:
    """Take a score with an optional word; what became of it, and when a person reads it where that matters.

    Raises Invalid, NotFound, and Conflict for somebody who has left.
    """
    words = " ".join(words.split())
    if not 1 <= score <= 5:
        raise Invalid("Choose a number from 1 to 5.", field="score")
    if len(words) > LONGEST:
        raise Invalid("Please make it a little shorter: 300 letters at most.", field="words")
    with transaction() as session:
        member = existing(session, member_id)
        written = on_page.take(
            session, member, channel, words or str(score), Question.CHECKIN, shown=f"{score} {words}".strip(),
            labels={"checkin": score, "did": f"checkin {score}"},
        )  # fmt: skip
        if written.heard in (Heard.RISK, Heard.PERSON):
            return written.heard, duty.when_words(session, member)
        if written.heard == Heard.STOPPED:
            return Heard.STOPPED, ""
        _record(session, member, written.message, score, words)
        if score <= 2 or words:
            on_page.to_person(written.thread)
        return Heard.KEPT, duty.when_words(session, member) if score <= 2 else ""


def keep_line(member_id: UUID, channel: ChannelName, words: str, *, give_back: bool) -> Heard:
    """Keep a line for a harder day as typed on the page. The caller has seen a code.

    Raises Invalid. Words with risk in them are no line: they are flagged like everything that a member writes.
    """
    with transaction() as session:
        member = existing(session, member_id)
        known = lines.current(session, member_id)
        if known is not None and known.words == " ".join(words.split()):
            known.give_back = give_back
            return Heard.KEPT
        read = understanding.screen(words, language=member.language, question=Question.NONE)
        if read.risk != Risk.NONE or read.minor is not None:
            thread = conversation_of(session, member, channel)
            message = on_page.keep(session, member, thread, channel, words, read)
            on_page.flag_risk(session, member, thread, message, read)
            return Heard.RISK
        lines.keep(session, member, words, give_back=give_back)
        return Heard.KEPT


def remove_line(member_id: UUID) -> None:
    """Forget the line for a harder day. The caller has seen a code."""
    with transaction() as session:
        lines.remove(session, member_id)


def _record(session: Session, member: Member, message: Message, score: int, words: str) -> None:
    """The answer to the open check-in, or one of its own."""
    asked = session.execute(
        select(Delivery.campaign_id, Delivery.id)
        .where(
            Delivery.member_id == member.id,
            Delivery.asks == Asks.SCORE,
            Delivery.sending_at > clock.now() - QUESTION_OPEN,
            Delivery.state.not_in(NEVER_LEFT),
        )
        .order_by(Delivery.sending_at.desc())
        .limit(1)
    ).first()
    known = select(CheckIn).where(CheckIn.member_id == member.id).order_by(CheckIn.at.desc()).limit(1)
    if asked is not None:
        known = known.where(CheckIn.campaign_id == asked.campaign_id)
        message.answers_delivery_id = asked.id
        session.execute(
            update(Delivery)
            .where(Delivery.campaign_id == asked.campaign_id, Delivery.member_id == member.id)
            .values(answered_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        release(session, member.id, "open_question")
    else:
        known = known.where(CheckIn.campaign_id.is_(None), CheckIn.at > clock.now() - SAME)
    row = session.scalar(known) or CheckIn(
        id=db.uuid7(), member_id=member.id, campaign_id=asked.campaign_id if asked else None
    )
    row.score, row.words, row.message_id, row.at = score, words or row.words, message.id, message.at
    session.add(row)
    session.flush()
