"""Messages of which nobody can tell whether they left, when every automatic way has been tried: a person decides.

Sending again may double a message, counting it as sent may lose it; the machine takes neither upon itself (DESIGN 6.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from service import clock, config, queue
from service.actions import audit
from service.actions.delivery import results, tally
from service.db import transaction
from service.errors import Conflict
from service.models.campaigns import Campaign, Delivery, DeliveryState
from service.models.members import ChannelName, Member

MOST = 50
"""Groups shown."""
SETTLING = timedelta(minutes=3)
"""Beyond the grace: by then a sweep has looked, twice, if it could."""


@dataclass(frozen=True)
class Group:
    """Messages that are decided together: those of one campaign on one channel, or a single one."""

    channel: ChannelName
    campaign_id: UUID | None
    delivery_id: int | None
    name: str
    count: int
    since: datetime
    looked: bool
    """Whether the provider could be asked at least once."""


def groups(session: Session) -> list[Group]:
    """What cannot be settled, oldest first."""
    now = clock.now()
    single = Delivery.campaign_id.is_(None)
    rows = session.execute(
        select(
            Delivery.channel,
            Delivery.campaign_id,
            Campaign.name,
            func.count(),
            func.min(Delivery.sending_at),
            func.max(Delivery.looks),
        )
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(_overdue(now))
        .group_by(Delivery.channel, Delivery.campaign_id, Campaign.name)
        .order_by(func.min(Delivery.sending_at))
        .limit(MOST)
    )
    found = [
        Group(ch, campaign, None, name, int(n), since or now, bool(looks))
        for ch, campaign, name, n, since, looks in rows
    ]
    ones = session.execute(
        select(Delivery.channel, Delivery.id, Member.first_name, Delivery.sending_at, Delivery.looks)
        .outerjoin(Member, Member.id == Delivery.member_id)
        .where(_overdue(now), single)
        .order_by(Delivery.sending_at)
        .limit(MOST)
    )
    found += [
        Group(
            ch,
            None,
            id_,
            f"A message to {name}" if name else "A message to a number or address",
            1,
            at or now,
            bool(looks),
        )
        for ch, id_, name, at, looks in ones
    ]
    return sorted(found, key=lambda g: g.since)


def send_again(
    channel: ChannelName, actor: UUID, *, campaign_id: UUID | None = None, delivery_id: int | None = None
) -> int:
    """Queue a group again, under every rule of a new claim; returns how many. Raises Conflict if none is left."""
    values = {"state": DeliveryState.QUEUED, "due_at": clock.now(), "error_code": None, **results.AFRESH}
    return _decide("delivery.sent_again", values, channel, actor, campaign_id, delivery_id)


def count_as_sent(
    channel: ChannelName, actor: UUID, *, campaign_id: UUID | None = None, delivery_id: int | None = None
) -> int:
    """Take a group as sent: nothing leaves again. Returns how many. Raises Conflict if none is left."""
    values = {"state": DeliveryState.ACCEPTED, "sent_at": func.coalesce(Delivery.sent_at, Delivery.sending_at)}
    return _decide("delivery.counted_as_sent", values, channel, actor, campaign_id, delivery_id)


def _decide(
    action: str,
    values: dict[str, Any],
    channel: ChannelName,
    actor: UUID,
    campaign_id: UUID | None,
    delivery_id: int | None,
) -> int:
    now = clock.now()
    one = Delivery.campaign_id == campaign_id if campaign_id else Delivery.id == delivery_id
    with transaction() as session:
        ids: Sequence[int] = session.scalars(
            update(Delivery)
            .where(_overdue(now), one, Delivery.channel == channel)
            .values({**values, "claimed_until": None, "claim": None, "updated_at": now})
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        ).all()
        if not ids:
            raise Conflict("This has been settled meanwhile: nothing was left to decide.")
        results.remember(session, ids, now)
        detail = {"campaign": str(campaign_id)} if campaign_id else {"delivery": delivery_id}
        audit.record(session, str(actor), action, None, channel=str(channel), messages=len(ids), **detail)
        for name in (*tally.CAMPAIGN_QUEUE.values(), "replies"):
            queue.ring_after(session, f"drain_{name}")
    return len(ids)


def _overdue(now: datetime) -> ColumnElement[bool]:
    """SQL: unknown for so long that the sweep must have tried, and in nobody's hands."""
    graces = config.current()
    texts = timedelta(seconds=graces.unknown_grace_sms) + SETTLING
    mails = timedelta(seconds=graces.unknown_grace_email) + SETTLING
    return and_(
        results.OPEN_ROWS,
        Delivery.state == DeliveryState.UNKNOWN,
        or_(Delivery.claimed_until.is_(None), Delivery.claimed_until < now),
        or_(
            and_(Delivery.channel == ChannelName.SMS, Delivery.sending_at < now - texts),
            and_(Delivery.channel == ChannelName.EMAIL, Delivery.sending_at < now - mails),
        ),
    )
