"""What a message does: stops, keywords, answers to open questions. Every automatic answer repeats what was understood,
and OOPS undoes the last act (rule of conversation 8).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service import clock, config
from service.actions import consent, contacts, gatherings, joining_by_text, members, outbox, understanding
from service.actions.conversations import duty, questions, undo
from service.actions.conversations.incoming import Arrived
from service.actions.delivery.claims import release
from service.actions.understanding import Intent, Rsvp, Scope, Understanding
from service.errors import Conflict
from service.models import gatherings as g
from service.models.campaigns import Asks, Delivery, Purpose
from service.models.content import Resonance, Story
from service.models.conversations import CheckIn, Conversation, ConversationState, Direction, Message
from service.models.members import ChannelName, Member, MemberState, SubscriptionState, Topic

PRIVACY_FLOOR = 5
"""No count of fellow feelers below this, nor one that a difference would give away (rule of conversation 12)."""
PAUSE_FOR = timedelta(days=14)
SAID_ONCE = timedelta(hours=24)
SPECIAL_STOPS = {Scope.WRONG_PERSON: "wrong_number_done", Scope.DELETE: "deletion_received"}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A stored message with everything that is known about it."""

    message: Message
    conversation: Conversation
    members: list[Member]
    arrived: Arrived
    read: Understanding
    asked: list[questions.Asked]

    @property
    def member(self) -> Member | None:
        """The one member who wrote; None for a stranger, or an address that two share."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def evidence(self) -> str:
        """How the ledger names this message."""
        return f"message {self.message.id}"


def to_person(incoming: Incoming) -> None:
    """Put the conversation before a person."""
    conversation = incoming.conversation
    if conversation.member_id is not None:
        conversation.state = ConversationState.NEEDS_REPLY
    conversation.waiting_since = conversation.waiting_since or incoming.message.at


def answer(
    session: Session,
    incoming: Incoming,
    template: str,
    extra: Mapping[str, Any] | None = None,
    *,
    purpose: Purpose = Purpose.ANSWER,
) -> None:
    """Send one of our own texts back on the channel that was written on; silent where the provider has answered."""
    if incoming.arrived.provider_answered or incoming.message.automatic:
        return
    member = incoming.member
    if member is not None:
        outbox.say(session, member, template, incoming.arrived.channel, purpose, extra, answers=incoming.message)
        return
    country = contacts.country_of(incoming.arrived.sender) if incoming.arrived.channel == ChannelName.SMS else ""
    outbox.say_to(
        session, incoming.arrived.channel, incoming.arrived.sender, template, country=country,
        language=incoming.read.language, purpose=purpose, context=extra, conversation=incoming.conversation,
    )  # fmt: skip


def stop(session: Session, incoming: Incoming, *, with_line: bool = False) -> None:
    """A request to stop in any words: honoured before anything else leaves, with one confirmation."""
    read, arrived = incoming.read, incoming.arrived
    incoming.message.labels = incoming.message.labels | {"did": f"opt_out {read.scope or 'all'}"}
    if read.scope == Scope.PAUSE and incoming.member:
        _pause(session, incoming, incoming.member)
    elif read.scope in (Scope.CHANNEL_SMS, Scope.CHANNEL_EMAIL, Scope.TOPIC) and incoming.members:
        _stop_part(session, incoming)
    else:
        for member in incoming.members:
            consent.stop(session, member, source=f"{arrived.channel}: in their words", evidence=incoming.evidence)
        consent.suppress(session, arrived.channel, arrived.sender, "opt_out", arrived.channel)
        template = SPECIAL_STOPS.get(read.scope or Scope.ALL, "stopped")
        everything = len(incoming.members) == 0 or any(len(m.addresses) > 1 for m in incoming.members)
        if with_line:
            answer(session, incoming, "stopped_with_line", {"everything": everything})
        elif template == "stopped":
            answer(session, incoming, "stopped", {"everything": everything})
        else:
            answer(session, incoming, template)
    bare_stop = read.keyword == "STOP" and incoming.arrived.bare and read.scope in (None, Scope.ALL)
    if not bare_stop or with_line:
        to_person(incoming)  # there are words besides the request, and a person reads every word


def _stop_part(session: Session, incoming: Incoming) -> None:
    read = incoming.read
    source = f"{incoming.arrived.channel}: in their words"
    for member in incoming.members:
        if read.scope == Scope.TOPIC and read.topic in [t.value for t in Topic]:
            for channel in ChannelName:
                consent.stop(
                    session,
                    member,
                    channel=channel,
                    topics=[Topic(read.topic)],
                    source=source,
                    evidence=incoming.evidence,
                )
        elif read.scope == Scope.TOPIC:
            consent.pause(session, member, clock.now() + PAUSE_FOR, source=source, evidence=incoming.evidence)
        else:
            channel = ChannelName.SMS if read.scope == Scope.CHANNEL_SMS else ChannelName.EMAIL
            consent.stop(session, member, channel=channel, source=source, evidence=incoming.evidence)
    if read.scope == Scope.CHANNEL_SMS and incoming.member and incoming.member.address(ChannelName.EMAIL):
        answer(session, incoming, "email_only_please_done")
    elif read.scope in (Scope.CHANNEL_SMS, Scope.CHANNEL_EMAIL):
        answer(session, incoming, "stopped", {"everything": False})
    else:
        answer(session, incoming, "cannot_place")


def tell_minor(session: Session, incoming: Incoming) -> None:
    """Somebody says that they are under 18: kindly, with the youth line; nothing more is sent to them by itself."""
    if incoming.read.minor == understanding.Minor.SELF and incoming.arrived.trusted:
        if incoming.arrived.channel == ChannelName.SMS:
            joining_by_text.decline_join(session, incoming.arrived.sender)
        answer(session, incoming, "not_adult", purpose=Purpose.SAFETY)


def respond(session: Session, incoming: Incoming) -> None:
    """Keywords, confirmations, answers to what is open; whatever is left goes to a person."""
    if not incoming.arrived.trusted:
        to_person(incoming)
        return
    for step in (_keyword, _joins, _confirms, _answers):
        done = step(session, incoming)
        if done:
            incoming.message.labels = incoming.message.labels | {"did": done}
            if not incoming.arrived.bare and not done.startswith("keyword"):
                to_person(incoming)
            return
    _leftover(session, incoming)


def _keyword(session: Session, incoming: Incoming) -> str | None:
    """Words that mean one thing and stand alone."""
    read, member = incoming.read, incoming.member
    if read.keyword == "OOPS" and member is not None:
        what = undo.undo_last(session, member)
        answer(session, incoming, "oops_undone" if what else "oops_nothing", {"what": what})
        return "keyword OOPS"
    if read.intent == Intent.HELP or read.keyword == "HELP":
        answer(session, incoming, "help")
        to_person(incoming)  # a bare HELP always also reaches a person (rule of conversation 2)
        return "keyword HELP"
    if read.keyword == "PAUSE" and member is not None:
        _pause(session, incoming, member)
        return "keyword PAUSE"
    if read.keyword == "LESS" and member is not None:
        return _less(session, incoming, member)
    if read.keyword == "START" and member is not None:
        return _start(session, incoming, member)
    return None


def _pause(session: Session, incoming: Incoming, member: Member) -> None:
    before = member.paused_until
    until = consent.pause(
        session,
        member,
        clock.now() + PAUSE_FOR,
        source=f"{incoming.arrived.channel}: PAUSE",
        evidence=incoming.evidence,
    )
    undo.remember(session, member, incoming.message, "pause", {"before": before.isoformat() if before else None})
    answer(session, incoming, "paused", {"until": duty.day_words(until, member)})


def _less(session: Session, incoming: Incoming, member: Member) -> str:
    before = member.weekly_cap
    member.weekly_cap = 1
    undo.remember(session, member, incoming.message, "less", {"before": before})
    language = {"es": "como mucho una vez por semana"}.get(member.language, "at most once a week")
    answer(session, incoming, "less_often", {"often": language})
    return "keyword LESS"


def _start(session: Session, incoming: Incoming, member: Member) -> str | None:
    back = consent.start(
        session,
        member,
        incoming.arrived.channel,
        source=f"{incoming.arrived.channel}: START",
        evidence=incoming.evidence,
    )
    if not back and member.state != MemberState.ACTIVE:
        return None
    answer(session, incoming, "started_again", {"per_week": weekly_cap(member)})
    return "keyword START"


def weekly_cap(member: Member) -> int:
    """Messages a week at most, 0 for no cap."""
    return config.current().weekly_cap if member.weekly_cap is None else member.weekly_cap


def _joins(session: Session, incoming: Incoming) -> str | None:
    """JOIN, a circle's keyword, and the answer to "are you 18 or over?". By text only: a mail proves no number."""
    read, arrived = incoming.read, incoming.arrived
    if arrived.channel != ChannelName.SMS:
        return None
    if read.keyword == "ADULT":
        made = joining_by_text.finish_join_by_text(
            session, arrived.sender, event_id=arrived.event_id, conversation=_unknown(incoming)
        )
        return "keyword ADULT" if made else None
    words = _as_join(session, incoming)
    if words is None:
        return None
    outcome = joining_by_text.join_by_text(
        session, arrived.sender, words, event_id=arrived.event_id, language=read.language,
        conversation=_unknown(incoming),
    )  # fmt: skip
    if outcome == joining_by_text.TextJoin.ALREADY:
        answer(session, incoming, "already_joined_neutral")
    elif outcome in (joining_by_text.TextJoin.PERSON, joining_by_text.TextJoin.COUNTRY):
        to_person(incoming)
    return "keyword JOIN"


def _as_join(session: Session, incoming: Incoming) -> str | None:
    """`JOIN TUESDAY` for JOIN with or without a keyword, and for a circle's keyword alone; None for anything else."""
    if incoming.read.keyword == "JOIN":
        return incoming.arrived.words
    word = incoming.arrived.words.strip().strip(".,!?\"'").upper()
    if not word or len(word) > 20 or " " in word:
        return None
    known = session.scalar(select(g.Circle.keyword).where(g.Circle.keyword == word, g.Circle.closed_at.is_(None)))
    return f"JOIN {known}" if known else None


def _unknown(incoming: Incoming) -> Conversation | None:
    return incoming.conversation if incoming.conversation.member_id is None else None


def _confirms(session: Session, incoming: Incoming) -> str | None:
    """YES to our request to confirm, within 72 hours and only if it was our last question."""
    member, channel = incoming.member, incoming.arrived.channel
    if member is None or incoming.read.confirm is None or not questions.confirm_open(session, member, channel):
        return None
    if channel == ChannelName.EMAIL and incoming.arrived.answers_delivery is None:
        return None  # only a reply to the signed address proves that the mail was read
    if incoming.read.confirm == understanding.Confirm.NO:
        consent.stop(
            session, member, channel=channel, source=f"{channel}: NO to the request", evidence=incoming.evidence
        )
        answer(session, incoming, "stopped", {"everything": False})
        return "declined"
    if not consent.confirm(session, member, channel, source=f"{channel}: YES", evidence=incoming.evidence):
        return None
    members.welcome(session, member, channel)
    return "confirmed"


def _answers(session: Session, incoming: Incoming) -> str | None:
    """The open questions: a 1–5, a YES/NO/MAYBE, a ME TOO. A message may answer two of different kinds."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    open_ = {asked.asks: asked for asked in incoming.asked}
    done: list[str | None] = []
    if Asks.SCORE in open_ and (score := _read_as(incoming, understanding.Question.CHECKIN).checkin):
        done.append(_check_in(session, incoming, member, open_[Asks.SCORE], score))
    if Asks.YES_NO in open_:
        rsvp = _read_as(incoming, understanding.Question.INVITE).rsvp
        if rsvp in (Rsvp.YES, Rsvp.NO, Rsvp.MAYBE):
            done.append(_rsvp(session, incoming, member, open_[Asks.YES_NO], g.Rsvp(rsvp)))
    if Asks.ME_TOO in open_ and incoming.read.me_too and open_[Asks.ME_TOO].story_id:
        done.append(_me_too(session, incoming, member, open_[Asks.ME_TOO]))
    return ", ".join(filter(None, done)) or None


def _read_as(incoming: Incoming, question: understanding.Question) -> Understanding:
    """The same words as an answer to another open question."""
    return understanding.screen(incoming.arrived.words, language=incoming.read.language, question=question)


def _answered(session: Session, incoming: Incoming, asked: questions.Asked) -> None:
    """The question is closed, on both channels, and what waited for that may leave."""
    member = incoming.member
    session.execute(
        update(Delivery)
        .where(Delivery.campaign_id == asked.campaign_id, Delivery.member_id == (member.id if member else None))
        .values(answered_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    if incoming.message.answers_delivery_id is None:
        incoming.message.answers_delivery_id = asked.delivery_id
    if member is not None:
        release(session, member.id, "open_question")


def _check_in(session: Session, incoming: Incoming, member: Member, asked: questions.Asked, score: int) -> str:
    words = None if incoming.arrived.bare else incoming.arrived.words
    earlier = session.scalar(
        select(CheckIn).where(CheckIn.member_id == member.id, CheckIn.campaign_id == asked.campaign_id)
    )
    before = earlier.score if earlier else None
    row = earlier or CheckIn(member_id=member.id, campaign_id=asked.campaign_id)
    row.score, row.message_id, row.at = score, incoming.message.id, incoming.message.at
    row.words = words or row.words
    session.add(row)
    session.flush()
    undo.remember(session, member, incoming.message, "checkin", {"id": str(row.id), "before": before, "score": score})
    _answered(session, incoming, asked)
    if score <= 2:
        to_person(incoming)  # a low score is put before a person the same day
    extra = {"when": duty.when_words(session, member)} if score == 1 else {}
    answer(session, incoming, f"checkin_{score}", extra)
    return f"checkin {score}"


def _rsvp(session: Session, incoming: Incoming, member: Member, asked: questions.Asked, rsvp: g.Rsvp) -> str | None:
    meeting = session.get(g.GroupSession, asked.session_id) if asked.session_id else None
    if meeting is None:
        return _rsvp_without_session(session, incoming, member, asked, rsvp)
    known = session.scalar(
        select(g.Invitation).where(g.Invitation.session_id == meeting.id, g.Invitation.member_id == member.id)
    )
    before = known.rsvp if known else None
    try:
        invitation = gatherings.answer_invite(session, member, meeting, rsvp, incoming.message.id)
    except Conflict:
        to_person(incoming)
        answer(session, incoming, "cannot_place")
        return "rsvp too late"
    words = gatherings.session_words(meeting, member)
    undo.remember(
        session, member, incoming.message, "rsvp",
        {"id": str(invitation.id), "before": before, "now": rsvp, "when": words.when},
    )  # fmt: skip
    _answered(session, incoming, asked)
    template = "rsvp_waitlist" if invitation.waitlisted else f"rsvp_{rsvp}"
    answer(
        session, incoming, template, {"session_when": words.when, "session_name": "" if member.discreet else words.name}
    )
    return f"rsvp {rsvp}"


def _rsvp_without_session(
    session: Session, incoming: Incoming, member: Member, asked: questions.Asked, rsvp: g.Rsvp
) -> str:
    """An invite that names no session of ours (a picnic, say): the answer is noted and goes to a person."""
    said = undo.said(rsvp, member)
    undo.remember(session, member, incoming.message, "noted", {"now": rsvp})
    _answered(session, incoming, asked)
    to_person(incoming)
    answer(session, incoming, "rsvp_noted", {"said": said})
    return f"rsvp {rsvp}"


def _me_too(session: Session, incoming: Incoming, member: Member, asked: questions.Asked) -> str | None:
    story = session.get(Story, asked.story_id)
    if story is None or not story.me_too_allowed:
        return None
    known = session.scalar(select(Resonance).where(Resonance.story_id == story.id, Resonance.member_id == member.id))
    if known is None:
        known = Resonance(
            story_id=story.id, member_id=member.id, message_id=incoming.message.id, at=incoming.message.at
        )
        session.add(known)
        session.flush()
        undo.remember(session, member, incoming.message, "me_too", {"id": str(known.id)})
    _answered(session, incoming, asked)
    others = (
        session.scalar(select(func.count()).where(Resonance.story_id == story.id, Resonance.member_id != member.id))
        or 0
    )
    shown = shown_count(others)
    if shown:
        answer(session, incoming, "me_too_count", {"count": shown})
    else:
        answer(session, incoming, "me_too_noted")
    return "me too"


def shown_count(others: int) -> int:
    """A count that may be told: none below the floor, and rounded down to fives, so that no difference tells on one."""
    return 0 if others < PRIVACY_FLOOR else others - others % PRIVACY_FLOOR


def _leftover(session: Session, incoming: Incoming) -> None:
    """Words for a person. A short answer to nothing is not guessed; a number that fits nowhere is asked about."""
    to_person(incoming)
    member, read = incoming.member, incoming.read
    if member is None or member.state == MemberState.LEFT or not _wants_messages(member):
        return
    if read.weak_opt_out:
        consent.pause(
            session, member, clock.now() + PAUSE_FOR, source=f"{incoming.arrived.channel}: may want to stop",
            evidence=incoming.evidence,
        )  # fmt: skip
    if incoming.message.labels.get("odd_number") and incoming.arrived.bare:
        answer(session, incoming, "odd_number", {"number": incoming.arrived.words.strip()})
    elif incoming.arrived.bare and (read.confirm or read.me_too or read.keyword):
        answer(session, incoming, "cannot_place")
    elif not _said_lately(session, incoming.conversation, "free_text_received"):
        answer(session, incoming, "free_text_received", {"when": duty.when_words(session, member)})


def _wants_messages(member: Member) -> bool:
    return any(s.state != SubscriptionState.STOPPED for s in member.subscriptions)


def _said_lately(session: Session, conversation: Conversation, template: str) -> bool:
    """Whether this very answer was given in the last day: once is kind, twice is a machine."""
    statement = select(Message.id).where(
        Message.conversation_id == conversation.id,
        Message.direction == Direction.OUT,
        Message.template == template,
        Message.at > clock.now() - SAID_ONCE,
    )
    return session.scalar(statement.limit(1)) is not None
