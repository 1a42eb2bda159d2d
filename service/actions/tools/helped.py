"""Whether cards helped: one answer per card and member, and a ranking that a single voice cannot turn round."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from service import clock
from service.models.campaigns import Campaign, Delivery
from service.models.content import Tool
from service.models.tools import ToolRead

WEIGHT = 5
"""Every card begins with so many answers of the usual kind: the average of all cards (a Bayesian average)."""
USUAL = 0.5
"""What is usual before anybody has answered."""


@dataclass(frozen=True)
class Standing:
    """How a card stands. `score` is between 0 and 1."""

    helped: int = 0
    answers: int = 0
    score: float = USUAL


def standings(session: Session, tools: Sequence[Tool]) -> dict[UUID, Standing]:
    """The standing of each of these cards, against the average of all of them."""
    ids = [tool.id for tool in tools]
    rows = session.execute(
        select(ToolRead.tool_id, func.sum(cast(ToolRead.helped, Integer)), func.count(ToolRead.helped))
        .where(ToolRead.tool_id.in_(ids), ToolRead.helped.is_not(None))
        .group_by(ToolRead.tool_id)
    )
    counts = {tool_id: (int(helped or 0), int(answers)) for tool_id, helped, answers in rows}
    everything = sum(answers for _, answers in counts.values())
    usual = sum(helped for helped, _ in counts.values()) / everything if everything else USUAL
    found = {}
    for id_ in ids:
        helped, answers = counts.get(id_, (0, 0))
        found[id_] = Standing(helped, answers, (WEIGHT * usual + helped) / (WEIGHT + answers))
    return found


def had(session: Session, member_id: UUID) -> dict[UUID, datetime]:
    """The cards that a member has had, asked for or sent by a campaign or a series, each with its last time."""
    found: dict[UUID, datetime] = {}
    asked = select(ToolRead.tool_id, ToolRead.at).where(ToolRead.member_id == member_id)
    sent = (
        select(Campaign.tool_id, func.max(Delivery.sending_at))
        .join(Delivery, Delivery.campaign_id == Campaign.id)
        .where(Delivery.member_id == member_id, Delivery.sending_at.is_not(None), Campaign.tool_id.is_not(None))
        .group_by(Campaign.tool_id)
    )
    for statement in (asked, sent):
        for tool_id, at in session.execute(statement):
            if tool_id is not None and at is not None:
                found[tool_id] = max(at, found.get(tool_id, at))
    return found


def note(session: Session, tool_id: UUID, member_id: UUID, helped: bool) -> bool | None:
    """Keep a member's answer about a card, in place of an earlier one; returns that one, None if there was none."""
    now = clock.now()
    row = session.get(ToolRead, (tool_id, member_id))
    if row is None:
        row = ToolRead(tool_id=tool_id, member_id=member_id, at=now)
        session.add(row)
    before = row.helped
    row.helped, row.answered_at = helped, now
    session.flush()
    return before


def gave(session: Session, tool_id: UUID, member_id: UUID, topic: str, message_id: UUID) -> None:
    """Keep that a card went to a member who asked for it."""
    row = session.get(ToolRead, (tool_id, member_id))
    if row is None:
        row = ToolRead(tool_id=tool_id, member_id=member_id)
        session.add(row)
    row.topic, row.message_id, row.at = topic[:40], message_id, clock.now()
    session.flush()
