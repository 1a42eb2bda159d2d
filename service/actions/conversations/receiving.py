"""A member's message, from the stored webhook to what it does: risk first, then a stop, then the open question, then
a keyword, and always a person where there are words (DESIGN section 4).
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from service import clock, config, db, links
from service.actions import contacts, understanding
from service.actions.belonging import talking as circle_talk
from service.actions.conversations import (
    answering,
    media,
    narrowing,
    phone_answers,
    questions,
    solving,
    stopping,
    store,
)
from service.actions.conversations.gathering import Known, gather
from service.actions.conversations.incoming import Arrived, Hold
from service.actions.conversations.saying import Incoming, to_person
from service.actions.finding import talking as find_talk
from service.actions.giving import writing
from service.actions.hope import talking as story_talk
from service.actions.resonance import hearing
from service.actions.safety import answered_page, raise_flag
from service.actions.tools import asking as tools_asking
from service.actions.understanding import Intent, Minor, Risk, Understanding
from service.actions.vents import talking as vent_talk
from service.channels import inbound_email, inbound_text
from service.channels.inbound_parts import parse_multipart
from service.models.campaigns import Delivery, Purpose
from service.models.conversations import (
    Conversation,
    ConversationState,
    Direction,
    Flag,
    Message,
    RiskTier,
    WebhookEvent,
)
from service.models.inbox import Attachment
from service.models.members import ChannelName, Member

HINTS = frozenset([understanding.STOP_WEIGHED, understanding.PERHAPS_WEIGHED])
"""What says that only the weight of words hints at a stop: "I'd rather not, thanks" answers an open invite then."""
PERSON_FIRST = timedelta(hours=48)
"""For so long after a person wrote, everything but STOP goes to that person (rule of conversation 1)."""


def read(session: Session, event: WebhookEvent) -> Arrived:
    """What somebody wrote, out of the stored webhook. Raises Malformed."""
    return _text(event) if event.kind == store.TEXT else _email(session, event)


def receive(session: Session, arrivals: Sequence[Arrived]) -> None:
    """Take stored messages in, each from another sender. Everything happens in the caller's transaction, so nothing is
    half-done.
    """
    # A coordinator may take a page by text: that is no member's message.
    ours = [a for a in arrivals if not (a.channel == ChannelName.SMS and answered_page(session, a.sender, a.words))]
    everybody = gather(session, ours) if ours else []
    incoming = [_take(session, arrived, known) for arrived, known in zip(ours, everybody, strict=True)]
    session.flush()
    _note_heard(session, incoming)
    for one in incoming:
        _note_arrival(one)
        for name, kind, size, url in one.arrived.attachments:
            _attach(session, one.message, name, kind[:100], size, url)
        _act(session, one)


def _take(session: Session, arrived: Arrived, known: Known) -> Incoming:
    """The message as it is kept, and what it says."""
    read = narrowing.narrowed(session, known, arrived, _understand(session, arrived, known))
    message = _keep(session, arrived, known.conversation, known.members)
    message.automatic = read.automatic or arrived.automatic
    message.labels = _labels(read, arrived)
    return Incoming(message, known.conversation, known.members, arrived, read, known.asked, known.lately, known)


def _act(session: Session, incoming: Incoming) -> None:
    """Risk, stop, then what the words ask for; each step decides whether the next still applies."""
    incoming = _as_asked(session, incoming)
    read, message = incoming.read, incoming.message
    flag = _flag_risk(session, incoming)
    risky = flag is not None
    if _stops(incoming) and incoming.arrived.held == Hold.UNPROVEN:
        stopping.rest_unproven(session, incoming)
        return
    if _stops(incoming):
        if stopping.stop(session, incoming, with_line=risky) and flag:
            flag.answered_at = clock.now()
        return
    if message.automatic or read.tapback:
        return  # no automatic answer to an automatic system; a reaction is seen in the conversation and is no answer
    if incoming.conversation.state == ConversationState.SNOOZED and incoming.conversation.snoozed_until is None:
        to_person(incoming)  # it was put away until they write
    about_phone = phone_answers.hear(session, incoming)
    if not risky and (tools_asking.stops_series(session, incoming) or story_talk.withdraws(session, incoming)):
        return
    if _may_stop(session, incoming):
        message.labels = message.labels | {"may_stop": "said"}
        to_person(incoming)
        only_answers = not HINTS.isdisjoint(read.reasons) and solving.answers_invite(incoming)
        if incoming.member is not None and not only_answers:
            stopping.pause_quietly(session, incoming, incoming.member)
    if risky or _person_first(session, incoming):
        if not vent_talk.keep_quietly(session, incoming):
            writing.keep_quietly(session, incoming)
        solving.in_words(session, incoming)
        to_person(incoming)
        return
    if about_phone is not None:
        phone_answers.reply(session, incoming, about_phone)
        return
    answering.respond(session, incoming)


def _may_stop(session: Session, incoming: Incoming) -> bool:
    """Whether the words may be meant as a stop. LEAVE KITCHEN is none, nor is "none of these" an answer to FIND that
    means one."""
    read = incoming.read
    if not read.weak_opt_out or read.keyword is not None or incoming.arrived.held is not None:
        return False
    if circle_talk.leaving(session, incoming) or find_talk.expects(session, incoming):
        return False
    return not hearing.expected(incoming)


def _as_asked(session: Session, incoming: Incoming) -> Incoming:
    """The same without a stop that no rule heard, where the words are no more than what we said they could be:
    "evenings please" to FIND, LEAVE with a circle's word. "Leave my evenings alone please" is more.
    """
    read = incoming.read
    if read.intent != Intent.OPT_OUT or understanding.STOP_WEIGHED not in read.reasons:
        return incoming
    answers = incoming.arrived.bare and find_talk.answers(session, incoming)
    if not answers and not circle_talk.leaving(session, incoming) and not hearing.expected(incoming):
        return incoming
    read = narrowing.without_stop(read)
    incoming.message.labels = _labels(read, incoming.arrived)
    return replace(incoming, read=read)


def _flag_risk(session: Session, incoming: Incoming) -> Flag | None:
    """Flag risk, a minor, or a child at risk: one flag and one automatic answer for one message."""
    read = incoming.read
    if read.minor is None and read.risk == Risk.NONE:
        return None
    ends_all = _stops(incoming) and stopping.wholly(incoming)
    # The answer to a minor, and the one confirmation of a stop, carry the line themselves: two would be one too many.
    answered = ends_all or read.minor == Minor.SELF or incoming.message.automatic or not incoming.arrived.trusted
    flag = raise_flag(
        session, incoming.conversation, incoming.member, incoming.message,
        RiskTier.CONCERN if read.risk == Risk.NONE else RiskTier(read.risk), read.reasons,
        label=LABELS[read.minor], may_answer=not answered, blocked=ends_all,
    )  # fmt: skip
    if read.minor == Minor.SELF and stopping.tell_minor(session, incoming, silent=ends_all):
        flag.answered_at = clock.now()
    return flag


LABELS: dict[Minor | None, str] = {None: "risk", Minor.SELF: "minor", Minor.CHILD_AT_RISK: "child_at_risk"}


KEPT = tuple(field.name for field in fields(Understanding) if field.name != "argument")
"""The labels that are kept: an argument is the member's own word."""


def _stops(incoming: Incoming) -> bool:
    """Whether this asks us to stop: in words that we understand, or in any that the provider took for it."""
    if incoming.arrived.provider_answered == "STOP":
        return True  # from now on the provider lets nothing through, whatever we think
    if incoming.read.keyword == "LESS":
        return False  # less often is not a break: `answering` sees to it
    return incoming.read.intent == Intent.OPT_OUT and not incoming.message.automatic


def _person_first(session: Session, incoming: Incoming) -> bool:
    """Whether a person is in this conversation: a flag is open, or a person wrote last within 48 hours."""
    if incoming.known.flagged:
        return True
    member = incoming.member
    if member is None or member.last_human_at is None or member.last_human_at < clock.now() - PERSON_FIRST:
        return False
    later = select(Delivery.id).where(
        Delivery.member_id == member.id,
        Delivery.purpose.in_([Purpose.CAMPAIGN, Purpose.CONFIRM]),
        Delivery.sending_at > member.last_human_at,
    )
    return session.scalar(later.limit(1)) is None


def _understand(session: Session, arrived: Arrived, known: Known) -> Understanding:
    """What the words say, against what we asked. A failure inside counts as a concern (`screen` sees to it)."""
    language = known.members[0].language if known.members else None
    if known.asked:
        question = questions.question_of(known.asked)
    else:
        question = questions.waiting_question(session, arrived, known.members, joining=known.joining)
    said = questions.last_words(known.lately, known.told)
    return understanding.screen(
        arrived.words, language=language, question=question, context=said, telling=known.telling
    )


def _labels(read: Understanding, arrived: Arrived) -> dict[str, Any]:
    """What is kept of the reading: labels and rule names, never the words themselves."""
    said = {name: getattr(read, name) for name in KEPT}  # `asdict` copies every value, and takes as long as a query
    labels = {name: value for name, value in said.items() if value not in (None, False, "", [], "none")}
    return labels | ({"held": arrived.held.value} if arrived.held else {})


def _text(event: WebhookEvent) -> Arrived:
    data = json.loads(event.raw or "{}")
    text = inbound_text.parse(data["form"])
    return Arrived(
        channel=ChannelName.SMS,
        sender=text.sender,
        words=text.body,
        full=None,
        subject=None,
        provider_answered=text.opt_out_type,
        attachments=[(m.url.rsplit("/", 1)[-1], m.content_type, None, m.url) for m in text.media],
        event_id=event.id,
        at=event.received_at,
    )


def _email(session: Session, event: WebhookEvent) -> Arrived:
    data = json.loads(event.raw or "{}")
    form, files = parse_multipart(base64.b64decode(data["body"]), data["content_type"])
    mail = inbound_email.parse(form, files)
    token = links.read_reply_token(mail.reply_token) if mail.reply_token else None
    named = questions.named_by(session, token)
    personal = named.id if named and token and token[0] == "d" else None
    forged = mail.authentic == inbound_email.Verdict.FAIL
    held = None
    if personal is None:  # whoever has the signed address had the mail, so that proves enough to be read as theirs
        spam = config.current().spam_score
        looks_bad = bool(spam) and mail.spam_score is not None and mail.spam_score >= spam
        held = Hold.UNPROVEN if forged else Hold.SPAM if looks_bad else None
    return Arrived(
        channel=ChannelName.EMAIL,
        sender=contacts.normal(ChannelName.EMAIL, mail.sender_address),
        words=mail.text or ("" if mail.automatic else mail.full_text),
        full=mail.full_text,
        subject=mail.subject,
        automatic=mail.automatic,
        trusted=not forged and held is None,
        held=held,
        answers_delivery=personal,
        answers_campaign=named.campaign_id if named else None,
        message_id=mail.message_id,
        attachments=[(a.name, a.content_type, a.size, None) for a in mail.attachments],
        event_id=event.id,
        at=event.received_at,
    )


def _keep(session: Session, arrived: Arrived, conversation: Conversation, members: list[Member]) -> Message:
    message = Message(
        id=db.uuid7(),
        conversation_id=conversation.id,
        member_id=members[0].id if len(members) == 1 and arrived.held is None else None,
        event_id=arrived.event_id,
        direction=Direction.IN,
        channel=arrived.channel,
        subject=arrived.subject or None,
        body=arrived.words,
        body_full=arrived.full if arrived.full and arrived.full != arrived.words else None,
        in_reply_to=arrived.message_id,
        answers_delivery_id=arrived.answers_delivery,
        at=arrived.at,
    )
    session.add(message)
    return message


def _note_arrival(incoming: Incoming) -> None:
    """Once the messages are stored, so that what they do to a conversation is stored with it, in one statement."""
    conversation, arrived = incoming.conversation, incoming.arrived
    conversation.last_in_at = arrived.at
    conversation.channel = arrived.channel
    conversation.unread += 1


def _note_heard(session: Session, incoming: Sequence[Incoming]) -> None:
    """That these members wrote: one statement for all of them."""
    now = clock.now()
    heard = [member for one in incoming if one.arrived.held is None for member in one.members]
    for member in heard:
        set_committed_value(member, "last_heard_at", now)
    if heard:
        session.execute(
            update(Member)
            .where(Member.id.in_([member.id for member in heard]))
            .values(last_heard_at=now)
            .execution_options(synchronize_session=False)
        )


def _attach(session: Session, message: Message, name: str, kind: str, size: int | None, url: str | None) -> None:
    """List what came with a message; a picture with a text is still at the provider, and is fetched later."""
    if url is not None:
        media.expect(session, message, name, kind, url)
    else:
        session.add(Attachment(message_id=message.id, name=name, content_type=kind, size=size, at=message.at))
