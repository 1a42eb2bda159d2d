"""What the members of a batch were sent in the last week, and what is leaving for them at this very moment in other
workers: read once for the batch, for caps, open questions, and the promise that no story goes to anybody twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.orm import Session

from service import db
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

    def __init__(self, session: Session, rows: Sequence[Row[Any]], now: datetime) -> None:
        self.now = now
        self._sent: dict[UUID, list[Sent]] = {}
        members = {row.member_id for row in rows if not row.override or row.story_id}
        self._free = _lock(session, members)
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
        until = max(open_, default=None)
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


def _lock(session: Session, members: set[UUID]) -> set[UUID] | None:
    """Keep other workers from judging the same members until this claim is committed; None: there is no need to.

    Two workers that look at the same moment would each find the cap free. SQLite has one writer at a time anyway;
    on PostgreSQL a member who is locked is left for a second later, so that nobody waits and nothing can deadlock.
    """
    if db.current().is_sqlite or not members:
        return None
    rows = select(Member.id).where(Member.id.in_(members)).with_for_update(skip_locked=True, key_share=True)
    return set(session.scalars(rows))
