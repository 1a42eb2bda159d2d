"""Helpers for the tests of the delivery engine: a provider that remembers what left, and short words for setting up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from service import clock, db
from service.actions import campaigns
from service.actions.delivery import claims
from service.actions.delivery.claims import Claimed
from service.actions.delivery.results import record
from service.channels.base import Outcome, Result
from service.channels.twilio import ProviderMessage
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.members import ChannelName, Member
from tests.flows import world

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
QUEUES = ("replies", "texts", "emails")


@dataclass
class Provider:
    """What really left, whatever our database thinks of it."""

    copies: Counter[int] = field(default_factory=Counter)
    texts: list[ProviderMessage] = field(default_factory=list)

    def take(self, c: Claimed, body: str = "") -> str:
        """Accept one message; its id."""
        self.copies[c.id] += 1
        sid = f"SM{c.id:08d}{self.copies[c.id]:024d}"
        if c.channel == SMS:
            self.texts.append(ProviderMessage(sid, c.to, "+15005550006", body, "sent", clock.now(), None))
        return sid

    def find(self, to: str, since: datetime) -> list[ProviderMessage]:
        """Twilio's list by recipient."""
        return [t for t in self.texts if t.to == to and t.created_at and t.created_at >= since]


def start(kind: CampaignKind = CampaignKind.STORY, words: str = "Hello.", **more: Any) -> UUID:
    """A campaign whose audience is frozen: by text, and by email if `mail` is given."""
    campaign_id: UUID = world.send(kind, words, more.pop("mail", ""), **more)
    campaigns.freeze(campaign_id)
    return campaign_id


def claim(*queues: str, limit: int = 100) -> list[Claimed]:
    """What may leave now."""
    return [c for name in queues or QUEUES for c in claims.claim(name, limit).claimed]


def accept(claimed: Iterable[Claimed], provider: Provider | None = None) -> None:
    """Let claimed messages leave, and the provider take them."""
    for c in claimed:
        if claims.mark_sending([c]):
            sid = (provider or Provider()).take(c)
            record([Result(c.id, Outcome.ACCEPTED, provider_id=sid)], {c.id: c})


def rows(campaign_id: UUID | None = None) -> list[Delivery]:
    """Deliveries as they are now, by id."""
    with db.reading() as session:
        statement = select(Delivery).order_by(Delivery.id)
        if campaign_id:
            statement = statement.where(Delivery.campaign_id == campaign_id)
        return list(session.scalars(statement))


def row_of(campaign_id: UUID) -> Delivery:
    """A campaign's only delivery."""
    [row] = rows(campaign_id)
    return row


def standing(campaign_id: UUID) -> tuple[DeliveryState, str | None]:
    """State and reason of a campaign's only delivery."""
    row = row_of(campaign_id)
    return row.state, row.reason


def change(member: Member, **values: Any) -> None:
    """Change a member, as the pages and actions do."""
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == member.id).values(**values))


def change_delivery(delivery_id: int, **values: Any) -> None:
    """Put a delivery into a state by hand."""
    with db.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))
