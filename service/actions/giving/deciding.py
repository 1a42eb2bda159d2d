"""What a coordinator decides about something that a member passed on: yes, a question first, or a kind no.

A yes is refused as it is for stories: while the automatic marks were not looked at, while its author is under a flag,
and, where self-harm is spoken of, until a second person has read the same words.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, consent, outbox, story_checks
from service.actions.belonging import places
from service.actions.conversations import replying
from service.actions.giving import gifts
from service.actions.giving.gifts import OPEN
from service.actions.giving.kinds import KINDS
from service.channels.segments import cheapest, measure
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, Direction, Message
from service.models.gatherings import Circle
from service.models.giving import Gift, GiftState, Giving
from service.models.members import ChannelName, Member, MemberState
from service.models.staff import Coordinator

SEGMENTS = 2
"""Of a gift by text, counted without accents: nobody's words are cut because they are Spanish. The cost is shown."""
WEEKLY = (Giving.STEP, Giving.SAID)
"""What goes into a circle's week."""
KIND_WORDS = ("declined_kept", "declined_later", "declined_heard")
"""Our kind wordings for a no (templates/sms); none of them names a fault."""
ANSWERS = 5
"""So many of the author's messages are shown beside the question."""


@dataclass(frozen=True)
class Fit:
    """How long the words are, and what a text of them costs."""

    letters: int
    most: int
    segments: int
    offenders: tuple[str, ...]
    fits: bool


def fit(giving: Giving, body: str) -> Fit:
    """Whether these words fit what they are for."""
    size, most = measure(body), KINDS[giving].longest
    plain = measure(cheapest(body))
    fits = len(body) <= most and (giving == Giving.STORY or plain.segments <= SEGMENTS)
    return Fit(len(body), most, size.segments, tuple(size.offenders), fits)


def obstacles(session: Session, gift: Gift, body: str, circle_id: UUID | None = None) -> list[str]:
    """What keeps these words from being approved, each with what to do about it; empty when nothing does."""
    found = []
    if not body.strip():
        found.append("No words are left. Decline it kindly instead.")
    size = fit(gift.kind, body)
    if not size.fits:
        found.append(f"It has {size.letters} letters; there is room for {size.most}, in {SEGMENTS} segments.")
    if gift.kind == Giving.NOTE and gifts.names_somebody(body):
        found.append("Take the number, the address or the link out: notes carry none.")
    if gift.kind in WEEKLY and not (gift.circle_id or circle_id):
        found.append("Choose into which circle’s week it goes. Its author is told of none.")
    author = session.get(Member, gift.member_id)
    if author is None or author.state in (MemberState.DIED, MemberState.ERASED):
        found.append("Its author is no longer here, so it rests.")
    elif author.state != MemberState.ACTIVE:
        found.append("Its author has left, so it rests.")
    elif author.held_at is not None:
        found.append("It rests while its author is under a safety flag.")
    return found


def approve(
    gift_id: UUID, coordinator: Coordinator, body: str, *, looked: bool = False, circle_id: UUID | None = None
) -> GiftState:
    """One person's yes to these exact words; where self-harm is spoken of it waits for a second. The new state.

    `looked`: every mark of the automatic checks was looked at. `circle_id`: into whose week it goes, where its author
    named no circle. Raises Invalid, Conflict, Forbidden, NotFound.
    """
    with db.transaction() as session:
        gift = _open(session, coordinator, gift_id)
        body = body.strip()
        _choose(session, coordinator, gift, circle_id)
        if problems := obstacles(session, gift, body):
            raise Conflict(" ".join(problems))
        if not looked and story_checks.findings(body):
            raise Invalid("Look at each marked place first, then tick this.", field="looked")
        _take_words(gift, body)
        if gift.mentions_self_harm:
            if gift.first_reader is None:
                gift.first_reader, gift.state = coordinator.id, GiftState.REVIEW
                audit.record(session, str(coordinator.id), "gift.first_yes", gift)
                return gift.state
            if gift.first_reader == coordinator.id:
                raise Conflict("It speaks of self-harm, so a second person has to read it. You were the first.")
        _settle(session, gift, coordinator, GiftState.APPROVED, "gift.approve")
        hook = KINDS[gift.kind].approved
        if hook is not None:
            hook(session, gift)
        return gift.state


def edit(gift_id: UUID, coordinator: Coordinator, body: str) -> None:
    """Keep edited words without deciding yet. Other words need the first of two yeses again."""
    with db.transaction() as session:
        gift = _open(session, coordinator, gift_id)
        _take_words(gift, body.strip())
        audit.record(session, str(coordinator.id), "gift.change", gift)


def ask(gift_id: UUID, coordinator: Coordinator, question: str) -> None:
    """Ask the author about it, in a person's words on their channel; their answer comes into the inbox and stands here.

    Raises Invalid beside `question`, Conflict where they cannot be written to.
    """
    if not question.strip():
        raise Invalid("Write what you would like to ask.", field="question")
    with db.transaction() as session:
        gift = _open(session, coordinator, gift_id)
        author = session.get_one(Member, gift.member_id)
        channel = _reach(session, author, gift)
        if channel is None:
            raise Conflict("Its author cannot be written to now: they asked us to stop.")
        if channel == ChannelName.SMS and len(question) > replying.LONGEST:
            raise Invalid(f"A text holds {replying.LONGEST} characters. Shorten it.", field="question")
        thread = outbox.conversation_of(session, author, channel)
        replying.send(session, thread, coordinator, channel, question.strip())
        gift.question, gift.asked_at, gift.state = question.strip(), clock.now(), GiftState.ASKED
        audit.record(session, str(coordinator.id), "gift.ask", gift)


def decline(gift_id: UUID, coordinator: Coordinator, words: str | None) -> None:
    """It goes to nobody. `words` is one of KIND_WORDS, said to its author, or None for silence.

    Raises Invalid for other words. Where the author cannot be written to, nothing is said.
    """
    if words is not None and words not in KIND_WORDS:
        raise Invalid("Choose one of the answers.", field="words")
    with db.transaction() as session:
        gift = _open(session, coordinator, gift_id)
        author = session.get(Member, gift.member_id)
        channel = _reach(session, author, gift) if author is not None else None
        if words and author is not None and channel is not None:
            outbox.say(session, author, words, channel, Purpose.REPLY, {"kind": KINDS[gift.kind].name(author.language)})
        _settle(session, gift, coordinator, GiftState.DECLINED, "gift.decline")


def answers(session: Session, gift: Gift) -> list[Message]:
    """What the author has written since they were asked, oldest first."""
    if gift.asked_at is None:
        return []
    since = (
        select(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.member_id == gift.member_id,
            Message.direction == Direction.IN,
            Message.automatic.is_(False),
            Message.at > gift.asked_at,
        )
        .order_by(Message.at.desc())
        .limit(ANSWERS)
    )
    return list(session.scalars(since))[::-1]


def circles_for(session: Session, coordinator: Coordinator, gift: Gift) -> list[Circle]:
    """Circles into whose week a coordinator may put it, where its author named none: never one of the author's own.

    They were asked which of theirs may read it, and chose none, or left it open.
    """
    if gift.circle_id is not None or gift.kind not in WEEKLY:
        return []
    own = [place.circle_id for place in places.of_member(session, gift.member_id).places]
    found = select(Circle).where(
        Circle.closed_at.is_(None),
        Circle.language == gift.language,
        Circle.id.not_in(own),
        access.access_circles(coordinator),
    )
    return list(session.scalars(found.order_by(Circle.name)))


def _open(session: Session, coordinator: Coordinator, gift_id: UUID) -> Gift:
    """The gift, held for this transaction, if it is still to be decided by this coordinator."""
    gift = session.get(Gift, gift_id, with_for_update=True)
    if gift is not None and not access.sees_everything(coordinator):
        own = select(Circle.id).where(Circle.id == gift.circle_id, access.access_circles(coordinator))
        if session.scalar(own) is None:
            raise Forbidden("You decide for your own circles. Coordinators of the whole community read the rest.")
    if gift is None:
        raise NotFound("It is not here any more. Its author may be gone.")
    if gift.state == GiftState.TAKEN_BACK:
        raise Conflict("Its author has taken it back. Nothing more is done with it.")
    if gift.state not in OPEN:
        raise Conflict("Somebody has decided about this already.")
    return gift


def _choose(session: Session, coordinator: Coordinator, gift: Gift, circle_id: UUID | None) -> None:
    if circle_id is None or gift.circle_id is not None:
        return
    if circle_id not in {circle.id for circle in circles_for(session, coordinator, gift)}:
        raise Invalid("Choose a circle that its author is not in.", field="circle")
    gift.circle_id = circle_id


def _take_words(gift: Gift, body: str) -> None:
    """Other words than before are new ones to whoever reads second."""
    if body != gift.body:
        gift.body, gift.first_reader = body, None
    gift.mentions_self_harm = story_checks.mentions_self_harm(gift.original, body)


def _settle(session: Session, gift: Gift, coordinator: Coordinator, state: GiftState, action: str) -> None:
    gift.state, gift.decided_at, gift.decided_by = state, clock.now(), coordinator.id
    gift.circle_choices = None
    audit.record(session, str(coordinator.id), action, gift, kind=str(gift.kind))


def _reach(session: Session, author: Member, gift: Gift) -> ChannelName | None:
    """The channel on which its author can be written to: the one that they wrote on, if that is open."""
    if author.state != MemberState.ACTIVE:
        return None
    for channel in sorted(ChannelName, key=lambda c: c != gift.channel):
        address = author.address(channel)
        if address is not None and not consent.suppressed(session, channel, address.value):
            return channel
    return None
