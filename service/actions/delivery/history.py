"""What the members of a batch were sent in the last week, and what is leaving for them at this very moment in other
workers: read once for the batch, for caps, open questions, and the promise that no story goes to anybody twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, bindparam, case, func, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from service import db
from service.db import UTCTime
from service.models.campaigns import Asks, Campaign, Delivery, DeliveryState, Purpose
from service.models.gatherings import GroupSession, SessionState
from service.models.members import Member

QUESTION_OPEN = timedelta(hours=48)
"""How long a question waits for its answer (rule of conversation 8)."""
WEEK = timedelta(days=7)
NOT_COUNTED = (DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True)
class Sent:
    """One earlier message of a campaign to a member."""

    delivery_id: int
    campaign_id: UUID
    at: datetime
    question: Asks | None
    """What it asks, unless that was answered or its session was cancelled."""
    open_until: datetime
    story_id: UUID | None
    leaving: bool
    """Claimed, or leaving: it may still come to nothing."""
    settled: bool
    """Whether the provider has it for certain, so that a story counts as read."""


class History:
    """The week behind the members of some rows of `claims`."""

    def __init__(self, session: Session, rows: Sequence[Row[Any]], now: datetime, free: set[UUID] | None) -> None:
        """`free` are the members that `lock` got, None for all."""
        self.now = now
        self._sent: dict[UUID, list[Sent]] = {}
        self._free = free
        self._phone_asked = {row.member_id: row.phone_asked_at for row in rows if row.phone_asked_at}
        members = {row.member_id for row in rows if not row.override or row.story_id or row.silent}
        if not members:
            return
        claimed = and_(Delivery.state == DeliveryState.QUEUED, Delivery.claimed_until > now)
        went = and_(Delivery.sending_at > now - WEEK, Delivery.state.not_in(NOT_COUNTED))
        statement = (
            select(
                Delivery.id, Delivery.member_id, Delivery.campaign_id, Delivery.sending_at, Delivery.asks,
                Delivery.answered_at, Delivery.state, Campaign.story_id, GroupSession.starts_at,
                GroupSession.state.label("meeting"),
            )
            .join(Campaign, Campaign.id == Delivery.campaign_id)
            .outerjoin(GroupSession, GroupSession.id == Campaign.session_id)
            .where(Delivery.member_id.in_(members), Delivery.purpose == Purpose.CAMPAIGN, or_(claimed, went))
        )  # fmt: skip
        found: Any
        for found in session.execute(statement):
            self._sent.setdefault(found.member_id, []).append(_sent(found, now))

    def leaves(self, row: Row[Any]) -> None:
        """Count a row of this batch that has just been let through."""
        until = min(self.now + QUESTION_OPEN, row.meeting_at or self.now + QUESTION_OPEN)
        leaving = Sent(row.id, row.campaign_id, self.now, row.asks, until, row.story_id, True, False)
        self._sent.setdefault(row.member_id, []).append(leaving)

    def asks(self, row: Row[Any]) -> None:
        """Count that the phone of a row's member is asked now whether it is still theirs."""
        self._phone_asked[row.member_id] = self.now

    def busy(self, row: Row[Any]) -> bool:
        """Whether another worker is judging something for this member right now."""
        return self._free is not None and row.member_id not in self._free and (not row.override or bool(row.story_id))

    def story_on_its_way(self, row: Row[Any]) -> bool:
        """Whether another campaign is just taking the same story to this member, or has, for all that we know."""
        return row.story_id is not None and any(s.story_id == row.story_id and not s.settled for s in self._others(row))

    def moments(self, row: Row[Any], *, leaving: bool = False) -> list[datetime]:
        """When this member was sent something; two channels of one campaign are one message, its own none."""
        latest: dict[UUID, datetime] = {}
        for s in self._others(row):
            if leaving or not s.leaving:
                latest[s.campaign_id] = max(s.at, latest.get(s.campaign_id, s.at))
        return list(latest.values())

    def question_open_until(self, row: Row[Any], *, leaving: bool = False) -> datetime | None:
        """When an unanswered question that takes the same kind of answer runs out; None if there is none.

        ME TOO is no such question: it is about the latest story, and asks for nothing.
        """
        if row.asks is None or row.asks == Asks.ME_TOO:
            return None
        open_ = [s.open_until for s in self._others(row) if s.question == row.asks and (leaving or not s.leaving)]
        if row.asks == Asks.YES_NO and row.member_id in self._phone_asked:
            open_.append(self._phone_asked[row.member_id] + QUESTION_OPEN)
        return self._still(open_)

    def yes_open_until(self, member_id: UUID) -> datetime | None:
        """When a question that takes a YES runs out, whatever asked it; None if there is none."""
        return self._still([s.open_until for s in self._sent.get(member_id, ()) if s.question == Asks.YES_NO])

    def _still(self, moments: Sequence[datetime]) -> datetime | None:
        until = max(moments, default=None)
        return until if until and until > self.now else None

    def _others(self, row: Row[Any]) -> list[Sent]:
        return [s for s in self._sent.get(row.member_id, ()) if s.campaign_id != row.campaign_id]


def _sent(found: Row[Any], now: datetime) -> Sent:
    waiting = found.state == DeliveryState.QUEUED
    at = now if waiting else found.sending_at
    closed = found.answered_at is not None or found.meeting == SessionState.CANCELLED
    until = at + QUESTION_OPEN
    return Sent(
        delivery_id=found.id,
        campaign_id=found.campaign_id,
        at=at,
        question=None if closed else found.asks,
        open_until=min(until, found.starts_at) if found.starts_at else until,
        story_id=found.story_id,
        leaving=waiting,
        settled=found.state not in (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN),
    )


def lock(session: Session, ids: Sequence[int]) -> set[UUID] | None:
    """Keep other workers from judging the members of these deliveries until this claim is committed; returns those
    who were free, or None where there is no need to ask.

    Two workers that look at the same moment would each find the cap free. SQLite has one writer at a time anyway;
    on PostgreSQL a member who is locked is left for a second later, so that nobody waits and nothing can deadlock.
    """
    if db.current().is_sqlite:
        return None
    members = select(Delivery.member_id).where(db.among(Delivery.id, ids), Delivery.campaign_id.is_not(None))
    rows = select(Member.id).where(Member.id.in_(members)).with_for_update(skip_locked=True, key_share=True)
    return set(session.scalars(rows))


@dataclass(frozen=True, slots=True)
class Recent:
    """The week behind one due message, in figures: other campaigns to its member, counted generously."""

    day: int
    week: int
    question: bool
    """Something that takes the same kind of answer may still be open."""
    unsettled: bool
    """Something is leaving, or nobody knows whether it left."""


def recent(session: Session, ids: Sequence[int], now: datetime) -> dict[int, Recent]:
    """What each of these due messages has behind it; whoever got nothing in a week is not in it.

    Figures instead of rows, because there is one line for each message and most need no closer look. Two copies of a
    campaign count as two here: then the member gets the closer look.
    """
    spans = {"day": now - timedelta(days=1), "week": now - WEEK, "open": now - QUESTION_OPEN}
    found = session.execute(_recent(db.current().is_sqlite), {"ids": db.many(ids), "now": now, **spans})
    return {mine: Recent(today, week, bool(asked), bool(unsettled)) for mine, today, week, asked, unsettled in found}


@lru_cache(maxsize=2)
def _recent(sqlite: bool) -> Any:
    """The statement, kept: to put it together takes longer than to run it."""
    now, day, week, opened = (bindparam(name, type_=UTCTime()) for name in ("now", "day", "week", "open"))
    mine, other = aliased(Delivery), aliased(Delivery)
    same = (
        other.member_id == mine.member_id,
        other.campaign_id != mine.campaign_id,
        other.purpose == Purpose.CAMPAIGN,
    )
    asked = and_(mine.asks != Asks.ME_TOO, other.asks == mine.asks, other.answered_at.is_(None)).label("asked")
    columns = (mine.id.label("mine"), other.sending_at, other.state, asked)
    # Two look-ups in the index of member and moment; with OR between them one would read a member's whole past.
    went = select(*columns).join(other, and_(*same, other.sending_at > week))
    waiting = (other.sending_at.is_(None), other.state == DeliveryState.QUEUED, other.claimed_until > now)
    claimed = select(*columns).join(other, and_(*same, *waiting))
    rows = union_all(*[part.where(db.among_given(mine.id)) for part in (went, claimed)]).subquery()
    leaving = rows.c.sending_at.is_(None)
    in_hand = rows.c.state.in_([DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN])
    open_ = and_(rows.c.asked, or_(leaving, rows.c.sending_at > opened))
    today = or_(leaving, rows.c.sending_at > day)
    return select(
        rows.c.mine, func.sum(_one_if(today)), func.count(), func.max(_one_if(open_)), func.max(_one_if(in_hand))
    ).group_by(rows.c.mine)


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)
