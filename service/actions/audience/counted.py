"""How many an audience reaches, who is left out and why, and a few of them: for pages, never for the sending path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, union
from sqlalchemy.orm import Session

from service.actions.audience.described import Audience
from service.actions.audience.query import in_scope, joined, recipients
from service.actions.audience.rules import standing
from service.models.members import ChannelName, Member, MemberState


@dataclass(frozen=True)
class Summary:
    """What the compose page shows: how many get it, on what, and who is left out and why."""

    by_channel: dict[ChannelName, int]
    left_out: dict[str, int]
    """reason (a key of REASONS) → members"""

    @property
    def people(self) -> int:
        """Copies that will leave; somebody who chose both channels counts twice."""
        return sum(self.by_channel.values())


def summary(session: Session, audience: Audience) -> Summary:
    """Count the audience. Reads every member in scope once: for pages, never for the sending path."""
    chosen = {channel: recipients(audience, channel).subquery() for channel in audience.channels}
    by_channel = {
        channel: session.scalar(select(func.count()).select_from(rows)) or 0 for channel, rows in chosen.items()
    }
    reached = 0
    if chosen:
        people = union(*[select(rows.c[0]) for rows in chosen.values()]).subquery()
        reached = session.scalar(select(func.count()).select_from(people)) or 0
    return Summary(by_channel, _left_out(session, audience, reached))


def _left_out(session: Session, audience: Audience, reached: int) -> dict[str, int]:
    """reason → members. Whoever could be reached and is not among the `reached` shares an address with one who is."""
    standings = [(channel, standing(Member, channel, audience)) for channel in audience.channels]
    if not standings:
        return {}
    columns: list[Any] = [*(each[2] for _, each in standings), func.count()]
    statement: Select[Any] = select(*columns).select_from(Member)
    for channel, each in standings:
        statement = joined(statement, Member, channel, audience, each[0], each[1])
    statement = statement.where(*in_scope(Member, audience), Member.state != MemberState.ERASED)
    counts: dict[str, int] = {}
    eligible = 0
    for *reasons, count in session.execute(statement.group_by(*[s[2] for _, s in standings])):
        if any(reason is None for reason in reasons):
            eligible += count
            continue
        reason = _most_telling(reasons)
        counts[reason] = counts.get(reason, 0) + count
    if eligible > reached:
        counts["same_address"] = eligible - reached
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _most_telling(reasons: Sequence[str]) -> str:
    """Of the reasons of two channels the one that says more than "no address"."""
    return next((r for r in reasons if r != "no_address"), reasons[0])


def sample(session: Session, audience: Audience, limit: int = 25) -> list[Member]:
    """A few members who would get it, for previews."""
    found: dict[UUID, Member] = {}
    for channel in audience.channels:
        ids = [row[0] for row in session.execute(recipients(audience, channel).limit(limit))]
        for member in session.scalars(select(Member).where(Member.id.in_(ids)).order_by(Member.first_name)):
            found[member.id] = member
    return list(found.values())[:limit]
