"""Risk: one automatic answer at once, a person paged until somebody says "I have it", and nothing else to that
member until someone has cleared it. Every step keeps its time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, or_, select, true, update
from sqlalchemy.orm import Session

from service import clock, config, db, links, logs
from service.actions import audit, consent, contacts, holds, outbox
from service.actions.delivery.claims import release
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.campaigns import Purpose
from service.models.content import Story, StoryState
from service.models.conversations import Conversation, ConversationState, Flag, Message, RiskTier
from service.models.members import AddressState, ChannelName, Member, MemberState
from service.models.staff import Coordinator, DutyShift, Role

log = logs.get("safety")

ANSWER_EVERY = timedelta(hours=1)
"""The automatic answer to risk is sent at most this often to one person; a page goes out every time."""
PAGE_AGAIN = timedelta(minutes=10)
"""An unacknowledged flag is paged again this often (rule of conversation 3)."""
REVIEW_EVERY = timedelta(days=1)
TAKES_IT = frozenset(["OK", "OKAY", "YES", "ACK", "GOT IT", "IVE GOT IT", "I HAVE IT", "HAVE IT", "ON IT", "IM ON IT"])
"""How a coordinator says by text that they have it; only the whole message counts."""
EVERYBODY_AFTER = 2
"""After this many unanswered pages everybody who may act on safety is paged, on duty or not."""


def raise_flag(
    session: Session,
    conversation: Conversation,
    member: Member | None,
    message: Message,
    tier: RiskTier,
    reasons: Sequence[str],
    *,
    label: str = "risk",
    may_answer: bool = True,
    blocked: bool = False,
) -> Flag:
    """Open a flag (or add to the open one), hold the member's messages, answer once and page whoever is on duty.

    `may_answer` is False where something else answers, or where an automatic system wrote. `blocked` says that this
    person has just stopped us: then the page says that we can NOT text them. Call it in the transaction that stores
    the message.
    """
    now = clock.now()
    flag = _open_flag(session, conversation.id, label)
    if flag is None:
        flag = Flag(
            id=db.uuid7(), member_id=member.id if member else None, conversation_id=conversation.id,
            message_id=message.id, tier=tier, label=label, reasons=list(reasons), opened_at=now, pages=0,
        )  # fmt: skip
        session.add(flag)
    else:
        flag.message_id = message.id
        flag.reasons = sorted({*flag.reasons, *reasons})
        if tier == RiskTier.IMMINENT:
            flag.tier = tier
    conversation.risk = flag.tier
    conversation.state = ConversationState.NEEDS_REPLY
    conversation.waiting_since = conversation.waiting_since or now
    if member is not None:
        member.held_at = member.held_at or now
        holds.take_back(session, [member.id])
        _rest_stories(session, member.id, rest=True)
    session.flush()
    flag.cannot_text = blocked or _cannot_text(session, member)
    if may_answer:
        _answer(session, flag, conversation, member, message, now)
    page(session, flag)
    log.warning("flag", flag=str(flag.id), tier=tier, label=label)
    return flag


def _open_flag(session: Session, conversation_id: UUID, label: str) -> Flag | None:
    return session.scalar(
        select(Flag).where(Flag.conversation_id == conversation_id, Flag.cleared_at.is_(None), Flag.label == label)
    )


def _cannot_text(session: Session, member: Member | None) -> bool:
    address = member.address(ChannelName.SMS) if member else None
    if address is None:
        return False
    return address.state == AddressState.UNREACHABLE or consent.suppressed(session, ChannelName.SMS, address.value)


def _answer(
    session: Session, flag: Flag, conversation: Conversation, member: Member | None, message: Message, now: datetime
) -> None:
    """The one automatic answer, on the channel that was written on; rate-limited per person."""
    if flag.answered_at and flag.answered_at > now - ANSWER_EVERY:
        return
    if member is not None:
        template = "risk_answer_discreet" if member.discreet else "risk_answer"
        outbox.say(session, member, template, message.channel, Purpose.SAFETY, answers=message)
    elif conversation.unknown_from:
        country = contacts.country_of(conversation.unknown_from) if message.channel == ChannelName.SMS else ""
        language = str(message.labels.get("language", "en"))
        outbox.say_to(
            session, message.channel, conversation.unknown_from, "risk_answer", country=country, language=language,
            purpose=Purpose.SAFETY, conversation=conversation,
        )  # fmt: skip
    flag.answered_at = now


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
    found = [flag for flag in unsure if _cannot_text(session, session.get(Member, flag.member_id))]
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
    digest = db.blind_index(ChannelName.SMS, phone)
    coordinator = session.scalar(
        select(Coordinator).where(Coordinator.phone_hash == digest, Coordinator.active.is_(True))
    )
    if coordinator is None:
        return False
    now = clock.now()
    waiting = list(
        session.scalars(
            select(Flag).where(Flag.cleared_at.is_(None), Flag.acknowledged_at.is_(None), Flag.paged_at.is_not(None))
        )
    )
    for flag in waiting:
        flag.acknowledged_at, flag.acknowledged_by = now, coordinator.id
        audit.record(session, str(coordinator.id), "flag.acknowledge", flag, by="text")
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


def acknowledge(flag_id: UUID, coordinator_id: UUID) -> Flag:
    """Somebody has it: the pages stop. Only ever called from a button or an answered page, never from a GET."""
    with db.transaction() as session:
        flag = _get(session, flag_id)
        if flag.acknowledged_at is None:
            flag.acknowledged_at = clock.now()
            flag.acknowledged_by = coordinator_id
            audit.record(session, str(coordinator_id), "flag.acknowledge", flag)
        return flag


def take_over(flag_id: UUID, coordinator_id: UUID) -> Flag:
    """Whoever had it cannot go on, and this person does. Both names stay in the audit trail. Raises Conflict when it
    has been cleared.
    """
    with db.transaction() as session:
        flag = _get(session, flag_id)
        if flag.cleared_at is not None:
            raise Conflict("This flag has been cleared already.")
        before, flag.acknowledged_by = flag.acknowledged_by, coordinator_id
        flag.acknowledged_at = flag.acknowledged_at or clock.now()
        audit.record(session, str(coordinator_id), "flag.taken_over", flag, before=str(before) if before else None)
        return flag


def may_clear(session: Session, flag: Flag, coordinator: Coordinator) -> bool:
    """Whether this person may say what came of it: who has it, who is on duty, and the leads; anybody while nobody has
    it, who has it then (docs/decisions/0013-who-clears-a-flag.md).
    """
    if flag.acknowledged_by in (None, coordinator.id) or coordinator.role in (Role.ADMIN, Role.SAFEGUARDING):
        return True
    return coordinator.id in {person.id for person in on_duty_now(session, clock.now())}


def clear(flag_id: UUID, coordinator_id: UUID, outcome: str) -> None:
    """End a flag with what came of it; the member's messages go on.

    Raises Invalid without an outcome, Conflict when it has been cleared, Forbidden while somebody else has it.
    """
    if not outcome.strip():
        raise Invalid("Write in a few words what came of it: whoever is on duty next will read it.", field="outcome")
    with db.transaction() as session:
        flag = _get(session, flag_id)
        if flag.cleared_at is not None:
            raise Conflict("This flag has been cleared already.")
        coordinator = session.get(Coordinator, coordinator_id)
        if coordinator is not None and not may_clear(session, flag, coordinator):
            raise Forbidden("Somebody else has it and knows what came of it. Ask them, or take it over first.")
        now = clock.now()
        flag.cleared_at, flag.cleared_by, flag.outcome = now, coordinator_id, outcome.strip()
        flag.acknowledged_at = flag.acknowledged_at or now
        flag.acknowledged_by = flag.acknowledged_by or coordinator_id
        session.flush()
        conversation = session.get(Conversation, flag.conversation_id)
        others = open_flags(session, conversation_id=flag.conversation_id)
        if conversation is not None:
            conversation.risk = max((f.tier for f in others), key=list(RiskTier).index, default=None)
        if flag.member_id and not others and not _flagged_elsewhere(session, flag.member_id):
            session.execute(update(Member).where(Member.id == flag.member_id).values(held_at=None))
            release(session, flag.member_id, "held")
            _rest_stories(session, flag.member_id, rest=False)
        audit.record(session, str(coordinator_id), "flag.clear", flag)


def _flagged_elsewhere(session: Session, member_id: UUID) -> bool:
    """Whether a flag is open for this member in another conversation, such as a mail that was held."""
    found = select(Flag.id).where(Flag.member_id == member_id, Flag.cleared_at.is_(None)).limit(1)
    return session.scalar(found) is not None


def open_flags(session: Session, *, conversation_id: UUID | None = None) -> list[Flag]:
    """Flags that are not cleared, the most urgent and oldest first."""
    statement = select(Flag).where(Flag.cleared_at.is_(None))
    if conversation_id:
        statement = statement.where(Flag.conversation_id == conversation_id)
    flags = session.scalars(statement.order_by(Flag.opened_at))
    return sorted(flags, key=lambda f: (f.tier != RiskTier.IMMINENT, f.opened_at))


def unacknowledged(session: Session) -> int:
    """How many flags nobody has taken yet: the red line on every page."""
    statement = select(func.count()).where(Flag.cleared_at.is_(None), Flag.acknowledged_at.is_(None))
    return session.scalar(statement) or 0


def _get(session: Session, flag_id: UUID) -> Flag:
    flag = session.get(Flag, flag_id)
    if flag is None:
        raise NotFound("There is no such flag.")
    return flag


def _rest_stories(session: Session, member_id: UUID, *, rest: bool) -> None:
    """A story rests while its author is under a flag (rule of conversation 6), and for good when they have died."""
    before, after = (StoryState.PUBLISHED, StoryState.RESTING) if rest else (StoryState.RESTING, StoryState.PUBLISHED)
    here = exists().where(Member.id == member_id, Member.state != MemberState.DIED)
    mine = (Story.author_id == member_id, Story.state == before)
    session.execute(update(Story).where(*mine, true() if rest else here).values(state=after))
