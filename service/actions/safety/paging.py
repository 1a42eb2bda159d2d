"""Paging: whoever is on duty, then the second, then everybody, again and again until somebody has it."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service import clock, config, db, links
from service.actions import audit, consent, outbox
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, ConversationState, Flag
from service.models.members import AddressState, ChannelName, Member
from service.models.staff import Coordinator, DutyShift, Role

PAGE_AGAIN = timedelta(minutes=10)
"""An unacknowledged flag is paged again this often (rule of conversation 3)."""
REVIEW_EVERY = timedelta(days=1)
TAKES_IT = frozenset(["OK", "OKAY", "YES", "ACK", "GOT IT", "IVE GOT IT", "I HAVE IT", "HAVE IT", "ON IT", "IM ON IT"])
"""How a coordinator says by text that they have it; only the whole message counts."""
EVERYBODY_AFTER = 2
"""After this many unanswered pages everybody who may act on safety is paged, on duty or not."""


def page(session: Session, flag: Flag) -> int:
    """Text and email whoever should know, with a link and no content; returns how many people were paged.

    First who is on duty, then the second, then everybody who may act on safety.
    """
    now = clock.now()
    people = _whom(session, flag.pages, now)
    template = "page_staff_cannot_text" if flag.cannot_text else "page_staff"
    for coordinator in people:
        token = links.sign("acknowledge", flag.id, coordinator.id)
        extra = {"page_url": links.url(f"/page/{token}")}
        for channel, to in ((ChannelName.SMS, coordinator.phone), (ChannelName.EMAIL, coordinator.email)):
            if to and channel in config.current().enabled_channels:
                outbox.say_to(
                    session, channel, to, template, country="", language="en", purpose=Purpose.PAGE, context=extra
                )
    if not people or flag.pages >= EVERYBODY_AFTER:
        _page_the_last_resort(session, template)
    flag.pages += 1
    flag.paged_at = now
    return len(people)


def _page_the_last_resort(session: Session, template: str) -> None:
    """SAFETY_PAGE_SMS and SAFETY_PAGE_EMAIL: where a page goes when no coordinator has answered, or there is none."""
    settings = config.current()
    extra = {"page_url": links.url("/console/inbox?folder=risk")}
    for channel, to in ((ChannelName.SMS, settings.safety_page_sms), (ChannelName.EMAIL, settings.safety_page_email)):
        if to and channel in settings.enabled_channels:
            outbox.say_to(
                session, channel, to, template, country="", language="en", purpose=Purpose.PAGE, context=extra
            )


def _whom(session: Session, pages: int, now: datetime) -> list[Coordinator]:
    tier = min(pages + 1, EVERYBODY_AFTER + 1)
    on_duty = on_duty_now(session, now, up_to_tier=tier)
    if on_duty and pages < EVERYBODY_AFTER:
        return on_duty
    everybody = select(Coordinator).where(
        Coordinator.active.is_(True), Coordinator.role.in_([Role.ADMIN, Role.SAFEGUARDING])
    )
    return list({c.id: c for c in [*on_duty, *session.scalars(everybody)]}.values())


def on_duty_now(session: Session, now: datetime, up_to_tier: int = 3) -> list[Coordinator]:
    """Who is on the rota at this moment, first tier first."""
    statement = (
        select(Coordinator)
        .join(DutyShift, DutyShift.coordinator_id == Coordinator.id)
        .where(
            DutyShift.starts_at <= now,
            DutyShift.ends_at > now,
            DutyShift.tier <= up_to_tier,
            Coordinator.active.is_(True),
        )
        .order_by(DutyShift.tier, Coordinator.name)
    )
    return list({c.id: c for c in session.scalars(statement)}.values())


def page_again() -> int:
    """Page every flag that nobody has acknowledged for PAGE_AGAIN; returns how many. Run by the clock.

    At once where we have learnt since the last page that we can NOT text this member: the provider refused the answer
    (21610), say. Whoever was told that an answer went out has to know that it did not arrive.
    """
    late = clock.now() - PAGE_AGAIN
    with db.transaction() as session:
        learnt = _learn_who_cannot_be_texted(session)
        waiting = session.scalars(
            select(Flag).where(
                Flag.cleared_at.is_(None),
                Flag.acknowledged_at.is_(None),
                or_(Flag.paged_at.is_(None), Flag.paged_at < late),
            )
        )
        due = {flag.id: flag for flag in [*learnt, *waiting]}
        return sum(1 for flag in due.values() if page(session, flag) >= 0)


def _learn_who_cannot_be_texted(session: Session) -> list[Flag]:
    """Open flags of members who turn out to be out of reach by text; each is marked."""
    unsure = session.scalars(
        select(Flag).where(Flag.cleared_at.is_(None), Flag.cannot_text.is_(False), Flag.member_id.is_not(None))
    )
    found = [flag for flag in unsure if cannot_text(session, session.get(Member, flag.member_id))]
    for flag in found:
        flag.cannot_text = True
    return found


def raise_daily() -> int:
    """Bring back every flag that was taken and not cleared for a day: its member is still held. Run by the clock.

    Without this somebody's messages could rest for ever because one person fell ill (rule of conversation 3).
    """
    yesterday = clock.now() - REVIEW_EVERY
    with db.transaction() as session:
        left = session.scalars(
            select(Flag).where(Flag.cleared_at.is_(None), Flag.acknowledged_at < yesterday, Flag.paged_at < yesterday)
        )
        raised = 0
        for flag in list(left):
            conversation = session.get_one(Conversation, flag.conversation_id)
            conversation.state = ConversationState.NEEDS_REPLY
            conversation.waiting_since = conversation.waiting_since or clock.now()
            page(session, flag)
            raised += 1
    return raised


def answered_page(session: Session, phone: str, words: str) -> bool:
    """A coordinator answers a page by text ("OK", "got it"): they have everything that was paged until now.

    Whether it was that; any other text, and any text from somebody else, is for `conversations.receive`.
    """
    said = " ".join(words.upper().replace("'", "").strip(" .!?").split())
    if said not in TAKES_IT:
        return False
    ours = db.once(session, "phones of coordinators", lambda: _phones_of_coordinators(session))
    coordinator_id = ours.get(db.blind_index(ChannelName.SMS, phone))
    if coordinator_id is None:
        return False
    now = clock.now()
    waiting = list(
        session.scalars(
            select(Flag).where(Flag.cleared_at.is_(None), Flag.acknowledged_at.is_(None), Flag.paged_at.is_not(None))
        )
    )
    for flag in waiting:
        flag.acknowledged_at, flag.acknowledged_by = now, coordinator_id
        audit.record(session, str(coordinator_id), "flag.acknowledge", flag, by="text")
    if waiting:
        extra = {"count": len(waiting), "page_url": links.url("/console/inbox?folder=risk")}
        outbox.say_to(
            session,
            ChannelName.SMS,
            phone,
            "page_taken",
            country="",
            language="en",
            purpose=Purpose.PAGE,
            context=extra,
        )
    return bool(waiting)


def _phones_of_coordinators(session: Session) -> dict[bytes, UUID]:
    """Looked up once for a batch of texts: every YES and OK of a member may be one."""
    active = select(Coordinator.phone_hash, Coordinator.id).where(Coordinator.active.is_(True))
    return {bytes(digest): id_ for digest, id_ in session.execute(active) if digest}


def cannot_text(session: Session, member: Member | None) -> bool:
    address = member.address(ChannelName.SMS) if member else None
    if address is None:
        return False
    return address.state == AddressState.UNREACHABLE or consent.suppressed(session, ChannelName.SMS, address.value)
