"""What has to be known about whoever wrote before a message can be read: asked once for a batch of messages, with one
query for each kind of thing, for asking for each message is most of the work on it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal, null, or_, select, union_all
from sqlalchemy.orm import Session, selectinload

from service import clock, db
from service.actions import contacts
from service.actions.conversations import lately, questions
from service.actions.conversations.incoming import Arrived
from service.actions.conversations.lately import Lately
from service.models.campaigns import Asks, Delivery
from service.models.content import Story, StoryRead, StoryState
from service.models.conversations import CheckIn, Conversation, ConversationState, Finding, Flag, Joining
from service.models.giving import Writing
from service.models.members import Address, Member, Subscription, SubscriptionState
from service.models.vents import Vent

WRITING_OPEN = timedelta(hours=48)
"""Words that come later than this after the last piece of what a member writes are no longer a part of it."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Known:
    """What is known about the sender of one message."""

    conversation: Conversation
    members: list[Member]
    """One as a rule; none for a stranger, two where they share a number."""
    lately: Lately
    """What we said in the conversation."""
    asked: list[questions.Asked] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    """What campaigns sent the one member lately, as `questions.sent_lately` found it."""
    story_read: StoryRead | None = None
    """The story that the one member asked for last."""
    told: list[tuple[datetime, str]] = field(default_factory=list)
    """What the last campaign said to each of them."""
    checkin: CheckIn | None = None
    """What the member has answered before to the check-in that is open."""
    joining: bool = False
    """Whether a JOIN from this address waits for "18 or over"."""
    finding: bool = False
    """Whether a FIND is under way in this conversation."""
    flagged: bool = False
    """Whether a flag is open in it."""
    writing: bool = False
    """Whether the member has begun something for others."""
    telling: bool = False
    """Whether what they write now may be a piece of it."""
    author: bool = False
    """Whether the member has been asked for a yes to the exact words of a story, and has not answered."""
    vents: bool = False
    """Whether something that the member needed to say is kept, or being said."""
    wants: bool = False
    """Whether the member has a subscription that is not stopped."""


def gather(session: Session, arrivals: Sequence[Arrived]) -> list[Known]:
    """What is known about each of these messages, in their order. No two of them have the same sender.

    Conversations that do not exist yet are made, and stored.
    """
    whose = _members(session, arrivals)
    threads = _conversations(session, arrivals, whose)
    found = [Known(*one) for one in zip(threads, whose, lately.read(session, threads), strict=True)]
    people = [member.id for members in whose for member in members]
    going_on = _going_on(session, people, [known.conversation.id for known in found])
    writing, wants = going_on["writing"], going_on["wants"]
    digests = [db.blind_index(arrived.channel, arrived.sender) for arrived in arrivals]
    joining = {bytes(d) for d in session.scalars(select(Joining.index_hash).where(Joining.index_hash.in_(digests)))}
    sent = questions.sent_lately(session, [member for members in whose for member in members])
    told = questions.words_of_last(session, sent)
    read = questions.read_lately(session, people)
    for known, arrived, digest in zip(found, arrivals, digests, strict=True):
        known.flagged = known.conversation.id in going_on["flag"]
        known.finding = known.conversation.id in going_on["finding"]
        known.joining = digest in joining
        known.writing = any(member.id in writing for member in known.members)
        known.telling = any((writing.get(m.id) or LONG_AGO) > clock.now() - WRITING_OPEN for m in known.members)
        known.author = any(member.id in going_on["author"] for member in known.members)
        known.vents = any(member.id in going_on["vent"] for member in known.members)
        known.wants = any(member.id in wants for member in known.members)
        known.told = [told[m.id] for m in known.members if m.id in told]
        if len(known.members) == 1:
            id_ = known.members[0].id
            known.sent, known.story_read = sent.get(id_, []), read.get(id_)
            known.asked = questions.open_among(known.sent, known.story_read, arrived)
    _answered_before(session, found)
    return found


def _going_on(
    session: Session, member_ids: Sequence[UUID], conversation_ids: Sequence[UUID]
) -> dict[str, dict[UUID, datetime | None]]:
    """What is under way with these members and in these conversations, by kind: whose → when it was gone on with.

    One question for all kinds: what a question costs is most of all that it is one.
    """
    of_members = {"member_ids": list(member_ids), "conversation_ids": list(conversation_ids)}
    found: dict[str, dict[UUID, datetime | None]] = defaultdict(dict)
    for kind, whose, at in session.execute(_everything_going_on(), of_members):
        found[kind][whose] = at
    return found


@lru_cache(maxsize=1)
def _everything_going_on() -> Any:
    members: Any = bindparam("member_ids", expanding=True)
    conversations: Any = bindparam("conversation_ids", expanding=True)
    return union_all(
        # With a moment of its own, so it comes first: PostgreSQL takes the type of a column from the first two.
        select(literal("writing").label("kind"), Writing.member_id.label("whose"), Writing.last_at.label("at")).where(
            Writing.member_id.in_(members)
        ),
        *(
            select(literal(kind), whose, null()).where(*where)
            for kind, whose, where in (
                ("flag", Flag.conversation_id, [Flag.conversation_id.in_(conversations), Flag.cleared_at.is_(None)]),
                ("finding", Finding.conversation_id, [Finding.conversation_id.in_(conversations)]),
                ("author", Story.author_id, [Story.state == StoryState.AWAITING_AUTHOR, Story.author_id.in_(members)]),
                ("vent", Vent.member_id, [Vent.member_id.in_(members)]),
                (
                    "wants",
                    Subscription.member_id,
                    [Subscription.member_id.in_(members), Subscription.state != SubscriptionState.STOPPED],
                ),
            )
        ),
    )


def _answered_before(session: Session, found: Sequence[Known]) -> None:
    checkins = {
        (known.members[0].id, asked.campaign_id): known
        for known in found
        for asked in known.asked
        if asked.asks == Asks.SCORE and asked.campaign_id
    }
    if not checkins:
        return
    members, campaigns = {key[0] for key in checkins}, {key[1] for key in checkins}
    both = CheckIn.member_id.in_(members) & CheckIn.campaign_id.in_(campaigns)
    for row in session.scalars(select(CheckIn).where(both)):
        if row.campaign_id and (known := checkins.get((row.member_id, row.campaign_id))):
            known.checkin = row


def _members(session: Session, arrivals: Sequence[Arrived]) -> list[list[Member]]:
    """Who wrote: by the signed reply address where it names one person, else by the address; oldest first."""
    digests = [db.blind_index(a.channel, contacts.normal(a.channel, a.sender)) for a in arrivals]
    statement = (
        select(Member)
        .where(Member.id.in_(select(Address.member_id).where(Address.index_hash.in_(digests))))
        .options(selectinload(Member.addresses))
        .order_by(Member.id)
    )
    by_address: dict[tuple[str, bytes], list[Member]] = defaultdict(list)
    for member in session.scalars(statement):
        for address in member.addresses:
            by_address[address.channel, bytes(address.index_hash)].append(member)
    found = [by_address[a.channel, digest] for a, digest in zip(arrivals, digests, strict=True)]
    return [_named(session, arrived, members) for arrived, members in zip(arrivals, found, strict=True)]


def _named(session: Session, arrived: Arrived, by_address: list[Member]) -> list[Member]:
    delivery = session.get(Delivery, arrived.answers_delivery) if arrived.answers_delivery else None
    member = session.get(Member, delivery.member_id) if delivery and delivery.member_id else None
    if member is not None and (not by_address or member in by_address):
        return [member]
    return by_address


def _conversations(
    session: Session, arrivals: Sequence[Arrived], whose: Sequence[Sequence[Member]]
) -> list[Conversation]:
    """Where each message belongs; an address of nobody, or of two, and what may be forged, goes to a person first."""
    keys: list[UUID | bytes] = [
        members[0].id if len(members) == 1 and arrived.held is None else db.blind_index(arrived.channel, arrived.sender)
        for arrived, members in zip(arrivals, whose, strict=True)
    ]
    own = [key for key in keys if isinstance(key, UUID)]
    strange = [key for key in keys if isinstance(key, bytes)]
    either: list[ColumnElement[bool]] = [Conversation.member_id.in_(own)] if own else []
    if strange:
        either.append(Conversation.address_hash.in_(strange) & Conversation.member_id.is_(None))
    statement = select(Conversation).where(or_(*either))
    found: dict[UUID | bytes, Conversation] = {}
    for conversation in session.scalars(statement):
        found.setdefault(conversation.member_id or bytes(conversation.address_hash or b""), conversation)
    for key, arrived, members in zip(keys, arrivals, whose, strict=True):
        if key not in found:
            found[key] = _begin(key, arrived, shared=len(members) > 1)
            session.add(found[key])
        if arrived.held is not None:
            found[key].tags = arrived.held.value
    session.flush()
    return [found[key] for key in keys]


def _begin(key: UUID | bytes, arrived: Arrived, *, shared: bool) -> Conversation:
    now = clock.now()
    if isinstance(key, UUID):
        return Conversation(id=db.uuid7(), member_id=key, channel=arrived.channel, created_at=now, unread=0)
    return Conversation(
        id=db.uuid7(), channel=arrived.channel, address_hash=key, unknown_from=arrived.sender,
        state=ConversationState.HELD, unread=0, tags="shared" if shared else "", created_at=now,
    )  # fmt: skip
