"""Carrying a note to the one person whom a coordinator chose, exactly once, and their thanks back to its author.

It leaves as a campaign of one, so consent, breaks, hours, caps and flags are judged at the claim like for everything
else, and so is whether its author is still here and at peace. Neither learns who the other is.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit
from service.actions.belonging import notes
from service.actions.giving import carried, gifts, matching
from service.errors import Conflict, Forbidden
from service.models.campaigns import Campaign, CampaignState, Delivery, DeliveryState
from service.models.encouragement import CarriedNote
from service.models.giving import Gift, Giving
from service.models.members import Member
from service.models.staff import Coordinator

KEEPS = timedelta(days=7)
"""A note waits at most so long for its hour; then it waits for somebody else."""
THANKS_WITHIN = timedelta(hours=72)
"""THANKS is for a note only so long after it came (rule of conversation 10)."""
TOLD_AFTER = timedelta(hours=1)
"""So long OOPS can take a thank-you back before its author hears of it."""
PAGE = 30
CHUNK = 200
NEVER_CAME = (
    DeliveryState.QUEUED, DeliveryState.SKIPPED, DeliveryState.FAILED, DeliveryState.UNDELIVERED, DeliveryState.BOUNCED,
)  # fmt: skip
OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


def waiting(session: Session, coordinator: Coordinator) -> list[Gift]:
    """Approved notes that have nobody yet, oldest first. Raises Forbidden for a circle coordinator."""
    _require_all(coordinator)
    approved = select(Gift).where(_has_nobody())
    return list(session.scalars(approved.order_by(Gift.decided_at, Gift.id).limit(PAGE)))


def how_many_wait(session: Session, coordinator: Coordinator) -> int:
    """How many such notes there are, PAGE at most, for Today; none for a circle coordinator."""
    if not access.sees_everything(coordinator):
        return 0
    return len(list(session.scalars(select(Gift.id).where(_has_nobody()).limit(PAGE))))


def _has_nobody() -> ColumnElement[bool]:
    on_its_way = exists().where(CarriedNote.gift_id == Gift.id)
    return and_(Gift.kind == Giving.NOTE, gifts.usable(), ~on_its_way)


def choose(gift_id: UUID, member_id: UUID, coordinator: Coordinator) -> None:
    """Send a note on its way to somebody. Raises Conflict where it cannot go, or not to them, with what to do."""
    _require_all(coordinator)
    with db.transaction() as session:
        # Both rows are held: two people who choose at the same moment must not carry one note twice, nor two to one.
        gift = session.scalar(select(Gift).where(Gift.id == gift_id, Gift.kind == Giving.NOTE).with_for_update())
        member = session.get(Member, member_id, with_for_update=True)
        if gift is None or session.scalar(select(Gift.id).where(Gift.id == gift_id, gifts.usable())) is None:
            raise Conflict("This note cannot go now: it was taken back, or its author is resting.")
        if session.scalar(select(CarriedNote.id).where(CarriedNote.gift_id == gift_id)) is not None:
            raise Conflict("This note is on its way to somebody already.")
        if gifts.names_somebody(gift.body):
            raise Conflict("A number, an address or a link is still in it. Take that out first; notes carry none.")
        if member is None or not matching.fits(session, gift, member_id):
            raise Conflict("They cannot get a note right now. Choose somebody else, or wait for a few days.")
        _carry(session, gift, member, coordinator)
        audit.record(session, str(coordinator.id), "note.carried", gift)


def _carry(session: Session, gift: Gift, member: Member, coordinator: Coordinator) -> None:
    campaign_id = notes.one(
        session, "note_arrives_discreet" if member.discreet else "note_arrives", "A note to somebody (automatic)",
        member, {"note_words": notes.GIFT},
        circle=None, expires_at=clock.now() + KEEPS, gift_id=gift.id,
    )  # fmt: skip
    assert campaign_id is not None
    session.add(
        CarriedNote(
            id=db.uuid7(), gift_id=gift.id, author_id=gift.member_id, member_id=member.id, campaign_id=campaign_id,
            chosen_at=clock.now(), chosen_by=coordinator.id,
        )
    )  # fmt: skip
    session.flush()


def arrived(session: Session, member: Member, campaign_id: UUID | None = None) -> CarriedNote | None:
    """The last note that reached a member within 72 hours and was not thanked for; of a mail's campaign, that one."""
    came = (
        select(CarriedNote)
        .join(Delivery, (Delivery.campaign_id == CarriedNote.campaign_id) & (Delivery.member_id == member.id))
        .where(
            CarriedNote.member_id == member.id,
            CarriedNote.thanked_at.is_(None),
            Delivery.sending_at > clock.now() - THANKS_WITHIN,
            Delivery.state.not_in(NEVER_CAME),
        )
        .order_by(Delivery.sending_at.desc())
        .limit(1)
    )
    return session.scalar(came.where(CarriedNote.campaign_id == campaign_id) if campaign_id else came)


def thank(session: Session, note: CarriedNote) -> None:
    """Keep a thank-you. Its author hears once that the note helped, and not from whom."""
    now = clock.now()
    note.thanked_at = now
    author = session.get_one(Member, note.author_id)
    note.told_campaign_id = notes.one(
        session, "note_helped", "A note helped (automatic)", author, {}, circle=None,
        begins_at=now + TOLD_AFTER, expires_at=now + KEEPS,
    )  # fmt: skip
    session.flush()


def unthank(session: Session, note: CarriedNote) -> None:
    """Take a thank-you back; what its author has heard stays heard."""
    note.thanked_at = None
    if note.told_campaign_id is not None:
        told, note.told_campaign_id = note.told_campaign_id, None
        session.flush()
        carried.end(session, [told])


def received(session: Session, member: Member) -> list[tuple[datetime, str]]:
    """When notes came to a member, and their words, newest first: for their own page."""
    came = (
        select(Delivery.sending_at, Gift.body)
        .join(CarriedNote, (CarriedNote.campaign_id == Delivery.campaign_id) & (CarriedNote.member_id == member.id))
        .join(Gift, Gift.id == CarriedNote.gift_id)
        .where(Delivery.member_id == member.id, Delivery.sending_at.is_not(None), Delivery.state.not_in(NEVER_CAME))
        .order_by(Delivery.sending_at.desc())
    )
    return [(at, words) for at, words in session.execute(came) if at is not None]


def has_left(session: Session, gift: Gift) -> bool:
    """Whether a note is beyond recall: it is leaving, or has left."""
    leaving = (
        select(Delivery.id)
        .join(CarriedNote, CarriedNote.campaign_id == Delivery.campaign_id)
        .where(CarriedNote.gift_id == gift.id, Delivery.sending_at.is_not(None), Delivery.state.not_in(NEVER_CAME))
    )
    return session.scalar(leaving.limit(1)) is not None


def settle() -> int:
    """Notes whose campaign is over; those that reached nobody wait for somebody again. How many. Run by the clock."""
    with db.transaction() as session:
        over = (
            select(CarriedNote)
            .join(Campaign, Campaign.id == CarriedNote.campaign_id)
            .where(CarriedNote.settled_at.is_(None), Campaign.state.in_(OVER))
            .order_by(CarriedNote.chosen_at)
            .limit(CHUNK)
        )
        found = list(session.scalars(over))
        came = set(
            session.scalars(
                select(Delivery.campaign_id).where(
                    Delivery.campaign_id.in_([note.campaign_id for note in found]),
                    Delivery.sending_at.is_not(None),
                    Delivery.state.not_in(NEVER_CAME),
                )
            )
        )
        for note in found:
            if note.campaign_id in came:
                note.settled_at = clock.now()
            else:
                session.delete(note)
        return len(found)


def _require_all(coordinator: Coordinator) -> None:
    if not access.sees_everything(coordinator):
        raise Forbidden("Notes go across circles. Ask another coordinator.")
