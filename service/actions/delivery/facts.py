"""What has to be known about a batch of due messages before any of them may leave: one query for all of them.

`lean` finds the many of a campaign that nothing stands against, `of` reads everything about the others.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Date, Row, Select, and_, bindparam, case, exists, false, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from service import db
from service.actions.audience import refusal
from service.actions.delivery import silence
from service.actions.delivery.history import QUESTION_OPEN
from service.actions.hope import choosing
from service.db import UTCTime
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery, Purpose
from service.models.content import Prompt, Story, StoryRead, StoryState
from service.models.conversations import Message
from service.models.encouragement import CarriedNote, NoteWish
from service.models.gatherings import Circle, CircleMembership, GroupSession, SessionState
from service.models.giving import Gift, GiftState
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
    Zone,
)

OVER, RESTS = "over", "rests"
Author = aliased(Member)
"""Who wrote a prompt."""
AFTER_STOP = ("stopped", "stopped_with_line", "wrong_number_done", "deletion_received", "email_only_please_done",
              "help")  # fmt: skip
"""Our own texts that may still go to somebody who has stopped: the one confirmation, and the answer to HELP. What
answers START or JOIN is not among them: those lift the stop, and a STOP that comes right behind them must win."""
AFTER_LOSS = timedelta(weeks=8)
"""No hope story, "you too?" or note in the first weeks after a loss that they told us of (rule of conversation 12)."""
WITHOUT_MONEY = (*AFTER_STOP, "channel_stopped", "topic_stopped", "paused", "checkin_1", "checkin_2", "not_adult")
"""Our own texts that leave although the month's budget is used up: stops, HELP, and answers that name a local line."""


def of(session: Session, ids: Sequence[int], now: datetime) -> list[Row[Any]]:
    """Everything that the verdict and the writing need, in one query over the batch."""
    of_campaign = Delivery.campaign_id.is_not(None)
    consent = case((of_campaign, _refusal_of_campaign()), else_=_refusal_of_single())
    statement: Any = (
        select(
            Delivery.id, Delivery.campaign_id, Delivery.message_id, Delivery.member_id, Delivery.address_id,
            Delivery.channel, Delivery.purpose, Delivery.attempts, Delivery.override, Delivery.asks,
            Delivery.direct_to, Address.value.label("address"), Address.introduced_at, Member.first_name,
            Address.country.label("address_country"), _needs_no_money().label("needs_no_money"),
            Member.locale, Member.time_zone, Member.country, Member.discreet, Member.held_at, Member.paused_until,
            Member.window_from, Member.window_to, Member.weekly_cap, Member.loss_on,
            Subscription.state.label("subscription_state"), Subscription.paused_until.label("topic_paused_until"),
            Campaign.state.label("campaign_state"), Campaign.kind, Campaign.expires_at, Campaign.story_id,
            Circle.on_hold, GroupSession.starts_at.label("meeting_at"), GroupSession.state.label("meeting_state"),
            Zone.offset_min, Zone.offset_max, consent.label("refused"), _story_over(now.date()).label("story_over"),
            Story.state.label("story_state"), _already_read().label("already_read"),
            _prompt_rests().label("prompt_rests"), _topic_left_out().label("topic_left_out"),
            _left_circle().label("left_circle"), silence.is_silent(now - silence.SILENT_AFTER).label("silent"),
            Address.still_asked_at, silence.phone_asked_at().label("phone_asked_at"), _gift(now).label("gift"),
        )
    )  # fmt: skip
    found: Any = session.execute(_with_all(statement).where(db.among(Delivery.id, ids))).all()
    return list(found)


def lean(session: Session, ids: Sequence[int], now: datetime) -> list[Row[Any]]:
    """The rows of a campaign with what is needed to write them, and whether they are `plain`: no rule can concern them.

    `plain` errs on one side only: what it lets through is sent unless its hours or caps forbid it (`judging`), and
    whoever it doubts is judged one by one with all the facts.
    """
    values = {"ids": db.many(ids), "now": now, "today": now.date()}
    values |= {"heard_since": now - silence.SILENT_AFTER, "asked_since": now - QUESTION_OPEN}
    return list(session.execute(_lean(db.current().is_sqlite), values).all())


@lru_cache(maxsize=2)
def _lean(sqlite: bool) -> Any:
    """The statement, kept: to put it together takes longer than to run it."""
    now: Any = bindparam("now", type_=UTCTime())
    story = Campaign.kind.in_([CampaignKind.STORY, CampaignKind.PROMPT])
    doubts = or_(
        _refusal_of_campaign().is_not(None),
        Campaign.state != CampaignState.SENDING,
        _true(Campaign.expires_at <= now),
        _true(GroupSession.starts_at <= now),
        _true(GroupSession.state == SessionState.CANCELLED),
        _true(_story_over(bindparam("today", type_=Date()))),
        Campaign.gift_id.is_not(None),
        _already_read(),
        _prompt_rests().is_not(None),
        _topic_left_out(),
        _left_circle(),
        and_(story, Member.loss_on.is_not(None)),
        Member.held_at.is_not(None),
        _true(Circle.on_hold),
        _true(Member.paused_until > now),
        _true(Subscription.state == SubscriptionState.PAUSED),
        Zone.offset_min.is_(None),
        _true(silence.is_silent(bindparam("heard_since", type_=UTCTime()))),
        silence.question_stands(bindparam("asked_since", type_=UTCTime())),
    )
    statement: Any = select(
        Delivery.id, Delivery.campaign_id, Delivery.member_id, Delivery.address_id, Delivery.channel,
        Delivery.attempts, Delivery.override, Delivery.asks, Address.value.label("address"), Address.introduced_at,
        Address.country.label("address_country"), Member.first_name, Member.locale, Member.time_zone, Member.country,
        Member.discreet, Member.weekly_cap, Member.window_from, Member.window_to, Zone.offset_min, Zone.offset_max,
        Campaign.expires_at, GroupSession.starts_at.label("meeting_at"),
        Campaign.story_id.is_not(None).label("tells_story"), not_(doubts).label("plain"),
    )  # fmt: skip
    return _with_all(statement).where(db.among_given(Delivery.id), Delivery.campaign_id.is_not(None))


def _with_all(statement: Select[Any]) -> Select[Any]:
    """Join all that a delivery may belong to, in the order in which messages leave."""
    return (
        statement.select_from(Delivery)
        .outerjoin(Member, Member.id == Delivery.member_id)
        .outerjoin(Address, Address.id == Delivery.address_id)
        .outerjoin(Message, Message.id == Delivery.message_id)
        .outerjoin(Campaign, Campaign.id == Delivery.campaign_id)
        .outerjoin(Story, Story.id == Campaign.story_id)
        .outerjoin(GroupSession, GroupSession.id == Campaign.session_id)
        .outerjoin(Circle, Circle.id == func.coalesce(Campaign.circle_id, GroupSession.circle_id))
        .outerjoin(Zone, Zone.name == Member.time_zone)
        .outerjoin(
            Subscription,
            and_(
                Subscription.member_id == Delivery.member_id,
                Subscription.topic == Delivery.topic,
                Subscription.channel == Delivery.channel,
            ),
        )
        .order_by(Delivery.priority, Delivery.due_at, Delivery.id)
    )


def _true(condition: Any) -> ColumnElement[bool]:
    """SQL: a condition that is also false where it cannot be known."""
    return func.coalesce(condition, false())


def _refusal_of_campaign() -> ColumnElement[str | None]:
    return refusal(Member, Address, Subscription, Delivery.topic.is_not(None))


def _story_over(today: Any) -> ColumnElement[bool]:
    """SQL: whether the campaign's story may not be sent (any more) on this channel."""
    return and_(
        Campaign.story_id.is_not(None),
        or_(
            Story.state != StoryState.PUBLISHED,
            and_(Story.consent_until.is_not(None), Story.consent_until < today),
            and_(Delivery.channel == ChannelName.SMS, Story.consent_sms.is_(False)),
            and_(Delivery.channel == ChannelName.EMAIL, Story.consent_email.is_(False)),
        ),
    )


def _gift(now: datetime) -> ColumnElement[str | None]:
    """SQL: why the words of a member that the campaign carries may not leave: `over` for good, `rests` while their
    author is under a flag (rule of conversation 6), `grieving` where the one who gets a note told us of a loss and has
    not asked since (rule 12). NULL where they may, or where it carries none.
    """
    author = aliased(Member)
    approved = (Gift.id == Campaign.gift_id, Gift.state == GiftState.APPROVED, author.id == Gift.member_id)
    here = exists().where(*approved, author.state == MemberState.ACTIVE)
    resting = exists().where(*approved, author.held_at.is_not(None))
    a_note = exists().where(CarriedNote.campaign_id == Campaign.id)
    asked = exists().where(NoteWish.member_id == Member.id, func.date(NoteWish.receives_at) >= Member.loss_on)
    grieving = and_(Member.loss_on > (now - AFTER_LOSS).date(), a_note, ~asked)
    return case(
        (Campaign.gift_id.is_(None), None), (~here, "over"), (grieving, "grieving"), (resting, "rests"), else_=None
    )


def _already_read() -> ColumnElement[bool]:
    """SQL: whether the member has had the campaign's story by another campaign.

    Somebody who chose both channels gets both copies: the first one must not stand in the way of the second.
    """
    other = aliased(Delivery)
    other_copy = exists().where(
        other.campaign_id == Delivery.campaign_id,
        other.member_id == Delivery.member_id,
        other.id != Delivery.id,
        other.sending_at.is_not(None),
    )
    read = exists().where(StoryRead.story_id == Campaign.story_id, StoryRead.member_id == Delivery.member_id)
    return and_(Campaign.story_id.is_not(None), read, ~other_copy)


def _prompt_rests() -> ColumnElement[str | None]:
    """SQL: why the campaign's prompt may not be sent: OVER for good, RESTS while its author is under a flag, or NULL.

    Hardly any campaign has one, and the others must not pay for it: the look-up is behind a CASE.
    """
    of_author = select(
        case(
            (Prompt.retired_at.is_not(None), OVER),
            (Prompt.gift_id.is_(None), None),
            (or_(Gift.state != GiftState.APPROVED, Author.state != MemberState.ACTIVE), OVER),
            (Author.held_at.is_not(None), RESTS),
            else_=None,
        )
    )
    joined = of_author.select_from(Prompt).outerjoin(Gift, Gift.id == Prompt.gift_id)
    found = joined.outerjoin(Author, Author.id == Gift.member_id).where(Prompt.id == Campaign.prompt_id)
    return case(
        (and_(Campaign.kind == CampaignKind.PROMPT, Campaign.prompt_id.is_(None)), OVER),
        (Campaign.prompt_id.is_(None), None),
        else_=found.correlate(Campaign).scalar_subquery(),
    )


def _topic_left_out() -> ColumnElement[bool]:
    """SQL: whether the campaign's story is about something of which the member wants no stories."""
    return case((Campaign.story_id.is_(None), false()), else_=_true(choosing.left_out(Delivery.member_id)))


def _left_circle() -> ColumnElement[bool]:
    """SQL: whether the campaign is for a circle that the member has left since the audience was frozen."""
    belongs = exists().where(
        CircleMembership.circle_id == Campaign.circle_id,
        CircleMembership.member_id == Delivery.member_id,
        CircleMembership.left_at.is_(None),
    )
    return and_(Campaign.circle_id.is_not(None), ~belongs)


def _needs_no_money() -> ColumnElement[bool]:
    """SQL: whether a message leaves whatever the budget says."""
    return or_(
        Delivery.purpose.in_([Purpose.SAFETY, Purpose.PAGE]),
        and_(Delivery.purpose == Purpose.ANSWER, Message.template.in_(WITHOUT_MONEY)),
    )


def _refusal_of_single() -> ColumnElement[str | None]:
    """SQL: why an answer, a confirmation, a reply or a page may not leave, or NULL.

    These follow something that the person did, so a topic does not matter; a stop still does, but for the answers
    that a stop itself needs. The answer to risk is never held back by us, whoever holds the phone.
    """
    suppressed = exists().where(
        Suppression.channel == Delivery.channel,
        or_(
            Suppression.index_hash == Address.index_hash,
            Suppression.index_hash == Delivery.direct_hash,
        ),
    )
    may_follow_stop = or_(
        Delivery.purpose.in_([Purpose.SAFETY, Purpose.PAGE, Purpose.TEST]),
        and_(Delivery.purpose == Purpose.ANSWER, Message.template.in_(AFTER_STOP)),
    )
    return case(
        (and_(Member.state == MemberState.DIED, Delivery.purpose != Purpose.SAFETY), "died"),
        (and_(Delivery.direct_to.is_(None), Address.id.is_(None)), "no_address"),
        (Address.state == AddressState.UNREACHABLE, "unreachable"),
        (and_(suppressed, ~may_follow_stop), "suppressed"),
        (and_(Address.state == AddressState.SILENT, ~may_follow_stop), "silent"),  # a stranger may have it by now
        else_=None,
    )
