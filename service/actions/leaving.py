"""The ways out that staff see to: a stop that was told to somebody, a death, erasure.

STOP in writing and the one-click link go straight to `actions.consent`.
"""

from collections.abc import Collection
from urllib.parse import quote, quote_plus
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import audit, consent, erasures
from service.actions.giving import carried
from service.db import reading, transaction
from service.errors import NotFound
from service.models.campaigns import Delivery
from service.models.checkins import OwnLine
from service.models.content import Resonance, Story, StoryRead, StoryState, TopicLeftOut
from service.models.conversations import Act, CheckIn, Conversation, Flag, Joining, Message, WebhookEvent
from service.models.encouragement import CarriedNote, NoteWish
from service.models.gatherings import Circle, CircleMembership, Invitation, PlaceAsk
from service.models.giving import Gift, Writing
from service.models.members import (
    AccessCode,
    Address,
    ChannelName,
    ConsentEvent,
    ConsentKind,
    Member,
    MemberState,
    Subscription,
    Topic,
)
from service.models.tools import SeriesReader, ToolRead
from service.models.vents import Vent

ALIVE = (
    StoryState.DRAFT,
    StoryState.REVIEW,
    StoryState.AWAITING_AUTHOR,
    StoryState.SECOND_REVIEW,
    StoryState.PUBLISHED,
)
THEIRS: tuple[type[db.Base], ...] = (
    Act, CheckIn, OwnLine, StoryRead, Resonance, ToolRead, SeriesReader, Flag, Invitation, CircleMembership, PlaceAsk,
    AccessCode, Subscription, Writing, CarriedNote, NoteWish, Gift, Vent, TopicLeftOut,
)  # fmt: skip
"""What is deleted of a person who is erased, beside messages and addresses."""
_SCAN = 1000


def opt_out_by_staff(
    member_id: UUID,
    coordinator_id: UUID | str,
    how: str,
    *,
    channel: ChannelName | None = None,
    topics: Collection[Topic] = (),
) -> None:
    """Enter a stop that somebody told us by phone or in person (`how`), or a program passes on. Raises NotFound."""
    with transaction() as session:
        member = existing(session, member_id)
        consent.enter_opt_out(session, member, coordinator_id=coordinator_id, how=how, channel=channel, topics=topics)
        audit.record(session, str(coordinator_id), "member.stopped", member, channel=channel)


def undo_opt_out(member_id: UUID, channel: ChannelName, coordinator_id: UUID, why: str) -> list[Topic]:
    """Take back a stop that was read into words that did not mean it; the topics that are on again.

    Raises NotFound, and Invalid without a reason.
    """
    with transaction() as session:
        member = existing(session, member_id)
        back = consent.staff_undo(session, member, channel, coordinator_id=coordinator_id, why=why)
        audit.record(session, str(coordinator_id), "member.stop_undone", member, channel=channel)
        return back


def mark_died(member_id: UUID, coordinator_id: UUID) -> None:
    """Stop everything at once, rest their stories, and hold their circles' messages for a person (rule 6).

    Nothing here can be started again by a text: relatives may hold the phone. Raises NotFound.
    """
    with transaction() as session:
        member = existing(session, member_id)
        actor = consent.staff(coordinator_id)
        consent.stop(session, member, source="marked as died", reason="died", actor=actor)
        member.state = MemberState.DIED
        consent.record(session, member.id, ConsentKind.DIED, source="marked as died", actor=actor)
        session.execute(
            update(Story)
            .where(Story.author_id == member.id, Story.state.in_(ALIVE))
            .values(state=StoryState.RESTING, updated_at=clock.now())
        )
        own = select(CircleMembership.circle_id).where(
            CircleMembership.member_id == member.id, CircleMembership.left_at.is_(None)
        )
        session.execute(
            update(Circle).where(Circle.id.in_(own)).values(on_hold=True).execution_options(synchronize_session=False)
        )
        audit.record(session, str(coordinator_id), "member.died", member)


def erase(member_id: UUID, actor: str) -> None:
    """Forget a person: addresses, messages, events, stories and name go; ledger and do-not-contact marks stay.

    `actor` is a coordinator's id, `member` or `cli`. What is kept names nobody: the member's row with its id, the
    ledger without IP addresses, keyed hashes. Raises NotFound.
    """
    with reading() as session:
        values = [(a.channel, a.value) for a in existing(session, member_id).addresses]
        events = _events_naming(session, [value for _, value in values])
    with transaction() as session:
        member = existing(session, member_id)
        consent.stop(session, member, source="erased", reason="erased", actor=actor)
        consent.record(session, member.id, ConsentKind.ERASED, source="erased", actor=actor)
        _forget_events(session, member_id, events)
        _forget_messages(session, member_id, [db.blind_index(channel, value) for channel, value in values])
        _forget_stories(session, member_id)
        carried.stop_of(session, member_id)
        for model in THEIRS:
            session.execute(delete(model).where(_member_of(model) == member_id))
        session.execute(delete(Address).where(Address.member_id == member_id))
        session.execute(update(ConsentEvent).where(ConsentEvent.member_id == member_id).values(ip=None))
        session.expire_all()
        _blank(existing(session, member_id))
        audit.record(session, actor, "member.erased", existing(session, member_id))
        erasures.remember(member_id)  # beside the database: a backup from before must not bring them back


def existing(session: Session, member_id: UUID) -> Member:
    """The member of that id. Raises NotFound."""
    member = session.get(Member, member_id)
    if member is None:
        raise NotFound("There is no such member.")
    return member


def _member_of(model: type[db.Base]) -> ColumnElement[UUID]:
    return model.__table__.c.member_id


def _events_naming(session: Session, values: list[str]) -> list[int]:
    """Raw webhooks that name one of the addresses, whichever way they are escaped. They are read outside the
    transaction: there may be a month of them, and everybody else would wait.
    """
    needles = {form.lower() for value in values for form in (value.lstrip("+"), quote(value), quote_plus(value))}
    found: list[int] = []
    last = 0
    while needles:
        rows = session.execute(
            select(WebhookEvent.id, WebhookEvent.raw)
            .where(WebhookEvent.id > last, WebhookEvent.raw.is_not(None))
            .order_by(WebhookEvent.id)
            .limit(_SCAN)
        ).all()
        if not rows:
            break
        found += [event_id for event_id, raw in rows if any(n in (raw or "").lower() for n in needles)]
        last = rows[-1].id
    return found


def _forget_events(session: Session, member_id: UUID, named: list[int]) -> None:
    own = session.scalars(select(Message.event_id).where(Message.member_id == member_id, Message.event_id.is_not(None)))
    ids = sorted({*named, *(i for i in own if i is not None)})
    for start in range(0, len(ids), _SCAN):
        chunk = ids[start : start + _SCAN]
        session.execute(update(WebhookEvent).where(WebhookEvent.id.in_(chunk)).values(raw=None))
        session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id.in_(chunk), WebhookEvent.processed_at.is_(None))
            .values(processed_at=clock.now(), error="erased")
        )


def _forget_messages(session: Session, member_id: UUID, digests: list[bytes]) -> None:
    direct = select(Delivery.message_id).where(Delivery.direct_hash.in_(digests), Delivery.message_id.is_not(None))
    unknown = Conversation.address_hash.in_(digests)
    session.execute(delete(Joining).where(Joining.index_hash.in_(digests)))
    session.execute(delete(Message).where(or_(Message.member_id == member_id, Message.id.in_(direct))))
    session.execute(delete(Conversation).where(or_(Conversation.member_id == member_id, unknown)))


def _forget_stories(session: Session, member_id: UUID) -> None:
    for story in session.scalars(select(Story).where(Story.author_id == member_id)):
        story.state, story.withdrawn_at = StoryState.WITHDRAWN, clock.now()
        story.title = story.about = story.author_name = story.body_email = story.body_sms = ""
        story.author_id = story.original = story.early_why = story.asked_code = None
    session.flush()


def _blank(member: Member) -> None:
    member.first_name = member.country = member.time_zone = ""
    member.locale = member.language
    member.state = MemberState.ERASED
    member.preferred_channel = member.weekly_cap = member.window_from = member.window_to = None
    member.paused_until = member.held_at = member.loss_on = None
    member.last_heard_at = member.last_human_at = member.adult_confirmed_at = None
    member.discreet = member.both_channels = False
