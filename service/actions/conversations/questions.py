"""What a reply answers: the latest invite, check-in or story that is still open for this member."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations.incoming import Arrived
from service.actions.conversations.lately import Lately
from service.actions.delivery.history import QUESTION_OPEN
from service.actions.understanding import Question
from service.models.campaigns import Asks, Campaign, CampaignContent, Delivery, DeliveryState, Purpose
from service.models.content import StoryRead
from service.models.gatherings import GroupSession
from service.models.members import ChannelName, Member, MemberState

NEVER_LEFT = (DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED)
MAIL_OPEN = timedelta(days=14)
"""A reply to a mail names what it answers by its address, so the question stays open longer than 48 hours."""
QUESTION: dict[Asks, Question] = {
    Asks.YES_NO: Question.INVITE,
    Asks.SCORE: Question.CHECKIN,
    Asks.ME_TOO: Question.STORY,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One open question. A story that was asked for with READ has no campaign, and no delivery of one."""

    delivery_id: int | None
    asks: Asks
    campaign_id: UUID | None
    session_id: UUID | None
    story_id: UUID | None
    prompt_id: UUID | None
    at: datetime


def sent_lately(session: Session, members: Collection[Member]) -> dict[UUID, list[Any]]:
    """member → what campaigns sent them in the last MAIL_OPEN, newest first."""
    if not members:
        return {}
    statement = (
        select(
            Delivery.id,
            Delivery.member_id,
            Delivery.asks,
            Delivery.campaign_id,
            Delivery.channel,
            Delivery.purpose,
            Delivery.state,
            Delivery.sending_at,
            Campaign.session_id,
            Campaign.story_id,
            Campaign.prompt_id,
            GroupSession.starts_at,
        )
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .outerjoin(GroupSession, GroupSession.id == Campaign.session_id)
        .where(Delivery.member_id.in_([m.id for m in members]), Delivery.sending_at > clock.now() - MAIL_OPEN)
        .order_by(Delivery.sending_at.desc())
    )
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in session.execute(statement):
        found[row.member_id].append(row)
    return found


def read_lately(session: Session, member_ids: Collection[UUID]) -> dict[UUID, StoryRead]:
    """member → the story that came last because they asked for one with READ, within MAIL_OPEN."""
    if not member_ids:
        return {}
    asked_for = (
        select(StoryRead)
        .where(StoryRead.member_id.in_(member_ids), StoryRead.message_id.is_not(None))
        .where(StoryRead.at > clock.now() - MAIL_OPEN)
        .order_by(StoryRead.at)
    )
    return {read.member_id: read for read in session.scalars(asked_for)}


def open_among(sent: Iterable[Any], read: StoryRead | None, arrived: Arrived) -> list[Asked]:
    """The open questions among what `sent_lately` and `read_lately` found for a member, newest first, at most one of a
    kind.

    A reply to a campaign's mail answers that campaign and nothing else. An invite closes when its session begins.
    """
    now, only = clock.now(), arrived.answers_campaign
    found: dict[Asks, Asked] = {}
    if read is not None and only is None and read.at > now - (MAIL_OPEN if arrived.answers_delivery else QUESTION_OPEN):
        found[Asks.ME_TOO] = Asked(None, Asks.ME_TOO, None, None, read.story_id, None, read.at)
    for row in sent:
        if row.asks is None or row.state in NEVER_LEFT or (row.starts_at is not None and row.starts_at <= now):
            continue
        if row.campaign_id == only if only else row.sending_at > now - QUESTION_OPEN:
            asked = Asked(
                row.id, row.asks, row.campaign_id, row.session_id, row.story_id, row.prompt_id, row.sending_at
            )
            if row.asks not in found or asked.at > found[row.asks].at:
                found[row.asks] = asked
    return sorted(found.values(), key=lambda asked: asked.at, reverse=True)


def question_of(asked: list[Asked]) -> Question:
    """The newest open question."""
    return QUESTION[asked[0].asks]


def waiting_question(session: Session, arrived: Arrived, members: list[Member], *, joining: bool) -> Question:
    """Where no campaign asks: whether we wait for a confirmation or for "18 or over"."""
    if joining and arrived.channel == ChannelName.SMS:
        return Question.ADULT
    if any(confirm_open(session, member, arrived.channel) for member in members):
        return Question.CONFIRM
    return Question.NONE


def confirm_open(session: Session, member: Member, channel: ChannelName) -> bool:
    """Whether a YES would confirm: asked within 72 hours, and nothing else was asked since (rule of conversation 8).

    What a person wrote may have been a question, too; our automatic answers never are.
    """
    address = member.address(channel)
    if address is None or address.asked_at is None or address.asked_at < clock.now() - timedelta(hours=72):
        return False
    if member.state != MemberState.PENDING and address.verified_at is not None:
        return False
    later = select(Delivery.id).where(
        Delivery.member_id == member.id,
        Delivery.sending_at > address.asked_at,
        Delivery.purpose.in_([Purpose.CAMPAIGN, Purpose.REPLY, Purpose.SAFETY]),
    )
    return session.scalar(later.limit(1)) is None


def last_words(lately: Lately, told: list[tuple[datetime, str]]) -> list[str]:
    """The last texts that we sent, oldest first: a bare YES is judged against what it answers.

    Our automatic answers ask nothing; that many of them name the emergency number must not make a crisis of a "thanks".
    """
    return [words for _, words in sorted([*lately.by_people(), *told])]


def words_of_last(session: Session, sent: Mapping[UUID, list[Any]]) -> dict[UUID, tuple[datetime, str]]:
    """member → what the last campaign said to them, on its channel and in their language where there is one.

    `sent` is what `sent_lately` found; the members are in the session already.
    """
    last = {id_: next((row for row in rows if row.purpose == Purpose.CAMPAIGN), None) for id_, rows in sent.items()}
    wanted = {row.campaign_id for row in last.values() if row is not None}
    if not wanted:
        return {}
    said: dict[tuple[UUID, ChannelName], list[CampaignContent]] = defaultdict(list)
    for content in session.scalars(select(CampaignContent).where(CampaignContent.campaign_id.in_(wanted))):
        said[content.campaign_id, content.channel].append(content)
    found = {}
    for member_id, row in last.items():
        contents = said[row.campaign_id, row.channel] if row is not None else []
        if row is not None and contents:
            language = session.get_one(Member, member_id).language
            best = min(contents, key=lambda c: (c.language != language, c.language != "en"))
            found[member_id] = (row.sending_at, best.body)
    return found


def named_by(session: Session, token: tuple[str, str] | None) -> Delivery | None:
    """The delivery in a reply address: of this very mail (`d`), or one of its batch (`batch`)."""
    if token is None or token[0] not in ("d", "batch") or not token[1].isdigit():
        return None
    return session.get(Delivery, int(token[1]))
