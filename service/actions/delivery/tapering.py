"""Check-ins taper off, without comment, for whoever leaves them unanswered: after three at most one a week, after three
more at most one in four weeks. Any answer to a check-in brings back the rhythm (rule of conversation 11).

What comes too early is skipped, not kept: "How are you today?" means a day, and a week of them would leave at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from service import db
from service.actions.delivery.history import QUESTION_OPEN
from service.db import UTCTime
from service.models.campaigns import Asks, Delivery, DeliveryState, Purpose

WEEKLY_AFTER, MONTHLY_AFTER = 3, 6
"""Check-ins without an answer."""
_SLACK = timedelta(hours=12)
WEEKLY, MONTHLY = timedelta(weeks=1) - _SLACK, timedelta(weeks=4) - _SLACK
"""Less half a day: one that leaves every Tuesday leaves a few minutes earlier or later each time."""
LOOK_BACK = timedelta(days=200)
"""Six at one in four weeks take 168 days."""
REACHED = (
    DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED,
)  # fmt: skip
"""What never arrived cannot be answered."""


def too_early(session: Session, ids: Sequence[int], now: datetime) -> set[int]:
    """Those of these due check-ins that come too early for their members; one query for all of them."""
    if not ids:
        return set()
    moments = {"since": now - LOOK_BACK, "open": now - QUESTION_OPEN, "week": now - WEEKLY, "month": now - MONTHLY}
    return set(session.scalars(_statement(db.current().is_sqlite), {"ids": db.many(ids), **moments}))


@lru_cache(maxsize=2)
def _statement(sqlite: bool) -> Any:
    """The statement, kept: to put it together takes longer than to run it."""
    since, opened, week, month = (bindparam(name, type_=UTCTime()) for name in ("since", "open", "week", "month"))
    mine, other = aliased(Delivery), aliased(Delivery)
    earlier = and_(
        other.member_id == mine.member_id,
        other.sending_at > since,
        other.asks == Asks.SCORE,
        other.campaign_id != mine.campaign_id,
        other.purpose == Purpose.CAMPAIGN,
        other.state.in_(REACHED),
    )
    answered = func.max(other.answered_at).over(partition_by=mine.id).label("answered")
    rows = (
        select(mine.id.label("mine"), other.campaign_id, other.sending_at, answered)
        .join(other, earlier)
        .where(db.among_given(mine.id))
        .subquery()
    )
    # Two copies of one campaign are one check-in; one that may still be answered counts for its moment only.
    unanswered = func.count(func.distinct(case((rows.c.sending_at <= opened, rows.c.campaign_id))))
    last = func.max(rows.c.sending_at)
    return (
        select(rows.c.mine)
        .where(or_(rows.c.answered.is_(None), rows.c.sending_at > rows.c.answered))
        .group_by(rows.c.mine)
        .having(or_(and_(unanswered >= MONTHLY_AFTER, last > month), and_(unanswered >= WEEKLY_AFTER, last > week)))
    )
