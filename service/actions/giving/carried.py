"""Stopping what carries a gift: taken back by its author, or gone with them, nothing of it leaves any more."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import clock
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState
from service.models.giving import Gift

OPEN = (CampaignState.DRAFT, CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.PAUSED)


def stop(session: Session, gift_ids: Collection[UUID]) -> None:
    """End the campaigns that carry these. What has not begun to leave never will: a claim on it holds no more."""
    if not gift_ids:
        return
    carrying = list(session.scalars(select(Campaign.id).where(Campaign.gift_id.in_(gift_ids))))
    end(session, carrying)


def stop_of(session: Session, author_id: UUID) -> None:
    """The same for everything that somebody gave."""
    stop(session, list(session.scalars(select(Gift.id).where(Gift.member_id == author_id))))


def end(session: Session, campaign_ids: Collection[UUID]) -> None:
    """End campaigns of one, in the caller's transaction."""
    if not campaign_ids:
        return
    now = clock.now()
    session.execute(
        update(Campaign)
        .where(Campaign.id.in_(campaign_ids), Campaign.state.in_(OPEN))
        .values(
            state=CampaignState.CANCELLED, frozen_at=func.coalesce(Campaign.frozen_at, now), finished_at=now,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    session.execute(
        update(Delivery)
        .where(Delivery.campaign_id.in_(campaign_ids), Delivery.state == DeliveryState.QUEUED)
        .values(state=DeliveryState.SKIPPED, reason="cancelled", claim=None, claimed_until=None, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
