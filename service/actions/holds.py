"""Taking back what is about to leave, and stopping a campaign that cannot go on.

The claim judges every rule again, so taking back is all that an opt-out, a pause or a flag needs.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from service import clock
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState


def take_back(session: Session, member_ids: Collection[UUID]) -> int:
    """Give up every claim on these members' messages that have not begun to leave; returns how many wait there.

    Called in the same transaction as an opt-out, a pause or a flag. A worker marks a message `sending` only if it
    still holds the claim, so nothing claimed before the opt-out leaves after it. What looks unclaimed is touched as
    well: a claim under way in another transaction is not to be seen yet, and this waits for it and takes it back.
    """
    if not member_ids:
        return 0
    result = session.execute(
        update(Delivery)
        .where(
            Delivery.member_id.in_(list(member_ids)),
            Delivery.state == DeliveryState.QUEUED,
        )
        .values(claim=None, claimed_until=None, updated_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def pause_campaign(session: Session, campaign_id: UUID, reason: str) -> None:
    """Pause a sending campaign because the provider says that something is set up wrongly; `reason` is the remedy."""
    session.execute(
        update(Campaign)
        .where(Campaign.id == campaign_id, Campaign.state == CampaignState.SENDING)
        .values(state=CampaignState.PAUSED, paused_reason=reason[:300], updated_at=clock.now())
        .execution_options(synchronize_session=False)
    )
