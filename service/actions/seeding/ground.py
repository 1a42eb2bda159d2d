"""What the writers of the demo's community share: the rows of the seed files, and what has been planted so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2s
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock
from service.actions import audit
from service.models.campaigns import Campaign, Delivery
from service.models.content import Story, Tool
from service.models.gatherings import Circle, GroupSession
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """The seed files, table by table, with every time as a moment (UTC) or a day; each file's header explains it."""

    weeks: int
    """For how many weeks from today the rota of `duty` repeats."""
    coordinators: Sequence[Row]
    duty: Sequence[Row]
    circles: Sequence[Row]
    members: Sequence[Row]
    stories: Sequence[Row]
    tools: Sequence[Row]
    series: Sequence[Row]
    meetings: Sequence[Row]
    rsvps: Sequence[Row]
    campaigns: Sequence[Row]
    rhythms: Sequence[Row]
    conversations: Sequence[Row]
    gifts: Sequence[Row] = ()
    vents: Sequence[Row] = ()


@dataclass
class Ground:
    """What is there already, by the keys of the seed files."""

    session: Session
    now: datetime
    rows: Rows
    staff: dict[str, Coordinator] = field(default_factory=dict)
    circles: dict[str, Circle] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    stories: dict[str, Story] = field(default_factory=dict)
    tools: dict[str, Tool] = field(default_factory=dict)
    meetings: dict[str, GroupSession] = field(default_factory=dict)
    """`kitchen-table#1` is the circle's next session, `#2` the one after it."""
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    sent: dict[tuple[str, str], list[Delivery]] = field(default_factory=dict)
    """(campaign, member) → the copies that were made for them."""
    asked: set[tuple[ChannelName, bytes]] = field(default_factory=set)
    """Addresses that have been asked to confirm."""

    @property
    def founded(self) -> datetime:
        """When the first circle began: a month before its first member."""
        first: datetime = min(row["joined"] for row in self.rows.members)
        return first - timedelta(days=30)

    def row_of(self, member: str) -> Row:
        """The seed row of a member."""
        return next(row for row in self.rows.members if row["key"] == member)

    def heard(self, member: Member, at: datetime) -> None:
        """Note that a member wrote, or pressed a button, at that moment."""
        member.last_heard_at = max(filter(None, (member.last_heard_at, at)))
        phone = member.address(ChannelName.SMS)
        if phone is not None:
            phone.heard_at = max(filter(None, (phone.heard_at, at)))

    def keep_phones(self) -> None:
        """Nobody in the demo is greeted with the question whether their number is still theirs: whoever has been silent
        for long wrote something short in the last weeks.
        """
        for key, member in self.members.items():
            phone = member.address(ChannelName.SMS)
            if phone is not None and (phone.heard_at or phone.created_at) < self.now - timedelta(days=60):
                phone.heard_at = self.now - timedelta(days=5 + 50 * chance("still there", key))

    def answered(self, campaign: str, member: str, at: datetime) -> None:
        """Close a campaign's question for a member, on both channels."""
        for delivery in self.sent.get((campaign, member), []):
            delivery.answered_at = at

    def did(self, at: datetime, actor: UUID | None, action: str, subject: object) -> None:
        """Write down in the audit trail what a coordinator did at that moment."""
        with clock.frozen_at(at):
            audit.record(self.session, str(actor), action, subject)

    def copy(self, campaign: str, member: str, channel: ChannelName) -> Delivery | None:
        """The copy of a campaign that a member answers: the one on that channel, if there is one."""
        copies = self.sent.get((campaign, member), [])
        return next((d for d in copies if d.channel == channel), copies[0] if copies else None)


def chance(*about: object) -> float:
    """A number from 0 to 1 that is always the same for the same things: every demo has the same history."""
    digest = blake2s(repr(about).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def hexed(length: int, *about: object) -> str:
    """`length` hex digits, always the same for the same things: for ids that a provider would have made."""
    return blake2s(repr(about).encode(), digest_size=(length + 1) // 2).hexdigest()[:length]
