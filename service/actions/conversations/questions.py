"""What a reply answers: the latest invite, check-in or story that is still open for this member."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions.conversations.incoming import Arrived
from service.actions.delivery.history import QUESTION_OPEN
from service.actions.understanding import Question
from service.models.campaigns import Asks, Campaign, CampaignContent, Delivery, DeliveryState, Purpose
from service.models.conversations import Conversation, Direction, Joining, Message
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
    """One open question."""

    delivery_id: int
    asks: Asks
    campaign_id: UUID
    session_id: UUID | None
    story_id: UUID | None
    at: datetime


def open_for(session: Session, member: Member, arrived: Arrived) -> list[Asked]:
    """The member's open questions, newest first, at most one of a kind.

    A reply to a campaign's mail answers that campaign and nothing else. An invite closes when its session begins.
    """
    now = clock.now()
    only = arrived.answers_campaign
    since = now - (MAIL_OPEN if only else QUESTION_OPEN)
    statement = (
        select(
            Delivery.id,
            Delivery.asks,
            Delivery.campaign_id,
            Campaign.session_id,
            Campaign.story_id,
            Delivery.sending_at,
        )
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .outerjoin(GroupSession, GroupSession.id == Campaign.session_id)
        .where(
            Delivery.member_id == member.id,
            Delivery.asks.is_not(None),
            Delivery.sending_at > since,
            Delivery.state.not_in(NEVER_LEFT),
            (GroupSession.id.is_(None)) | (GroupSession.starts_at > now),
        )
        .order_by(Delivery.sending_at.desc())
        .limit(10)
    )
    if only:
        statement = statement.where(Delivery.campaign_id == only)
    found: dict[Asks, Asked] = {}
    for id_, asks, campaign_id, session_id, story_id, at in session.execute(statement):
        if asks and campaign_id and at:
            found.setdefault(asks, Asked(id_, asks, campaign_id, session_id, story_id, at))
    return sorted(found.values(), key=lambda a: a.at, reverse=True)


def question_of(asked: list[Asked]) -> Question:
    """The newest open question."""
    return QUESTION[asked[0].asks]


def waiting_question(session: Session, arrived: Arrived, members: list[Member]) -> Question:
    """Where no campaign asks: whether we wait for a confirmation or for "18 or over"."""
    if arrived.channel == ChannelName.SMS:
        digest = db.blind_index(arrived.channel, arrived.sender)
        if session.get(Joining, digest) is not None:
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


def last_words(session: Session, conversation: Conversation, members: list[Member]) -> list[str]:
    """The last texts that we sent, oldest first: a bare YES is judged against what it answers.

    Our automatic answers ask nothing; that many of them name the emergency number must not make a crisis of a "thanks".
    """
    said: list[tuple[datetime, str]] = [
        (at, body)
        for at, body in session.execute(
            select(Message.at, Message.body)
            .where(
                Message.conversation_id == conversation.id,
                Message.direction == Direction.OUT,
                Message.automatic.is_(False),
                Message.at > clock.now() - MAIL_OPEN,
            )
            .order_by(Message.at.desc())
            .limit(2)
        )
    ]
    for member in members:
        said += _campaign_words(session, member)
    return [words for _, words in sorted(said)]


def _campaign_words(session: Session, member: Member) -> list[tuple[datetime, str]]:
    """What the last campaign said to this member, on its channel and in their language where there is one."""
    last = session.execute(
        select(Delivery.campaign_id, Delivery.channel, Delivery.sending_at)
        .where(
            Delivery.member_id == member.id,
            Delivery.purpose == Purpose.CAMPAIGN,
            Delivery.sending_at > clock.now() - MAIL_OPEN,
        )
        .order_by(Delivery.sending_at.desc())
        .limit(1)
    ).first()
    if last is None or last.sending_at is None:
        return []
    contents = list(
        session.scalars(
            select(CampaignContent).where(
                CampaignContent.campaign_id == last.campaign_id, CampaignContent.channel == last.channel
            )
        )
    )
    contents.sort(key=lambda c: (c.language != member.language, c.language != "en"))
    return [(last.sending_at, contents[0].body)] if contents else []


def named_by(session: Session, token: tuple[str, str] | None) -> Delivery | None:
    """The delivery in a reply address: of this very mail (`d`), or one of its batch (`batch`)."""
    if token is None or token[0] not in ("d", "batch") or not token[1].isdigit():
        return None
    return session.get(Delivery, int(token[1]))
