"""What a message does that is neither risk nor a stop: keywords, joining, confirming, answers to what is open. Whatever
is left goes to a person. Every automatic answer repeats what was understood (rule of conversation 8).
"""

from sqlalchemy.orm import Session

from service import config
from service.actions import consent, joining_by_text, members, understanding
from service.actions.belonging import places
from service.actions.belonging import talking as circle_talk
from service.actions.checkins import lines
from service.actions.conversations import duty, questions, solving, stopping, undo
from service.actions.conversations.saying import Incoming, answer, did, said_lately, to_person
from service.actions.finding import talking as find_talk
from service.actions.giving import cheering, growth, writing
from service.actions.hope import talking as story_talk
from service.actions.resonance import news
from service.actions.tools import asking as tools_asking
from service.actions.tools.topics import folded
from service.actions.understanding import RSVP_ANSWERS, Intent
from service.actions.vents import talking as vent_talk
from service.models.conversations import Conversation
from service.models.members import ChannelName, Member, MemberState

MENU = frozenset(["menu", "the menu", "el menu", "words", "keywords", "commands", "palabras", "palabras clave"])


def respond(session: Session, incoming: Incoming) -> None:
    """Keywords, confirmations, answers to what is open; whatever is left goes to a person."""
    if not incoming.arrived.trusted:
        to_person(incoming)
        return
    for step in (
        _keyword,
        circle_talk.hear,
        _joins,
        _confirms,
        find_talk.hear,
        story_talk.hear,
        tools_asking.hear,
        lines.hear,
        news.hear,
        growth.hear,
        cheering.hear,
        vent_talk.hear,
        writing.hear,
        solving.solve,
    ):
        done = step(session, incoming)
        if done:
            did(incoming, done)
            if not incoming.arrived.bare and not done.startswith(("keyword", "vent")):
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
    if folded(incoming.arrived.words) in MENU:
        answer(session, incoming, "menu")
        return "keyword MENU"
    if read.intent == Intent.HELP or read.keyword == "HELP":
        answer(session, incoming, "help")
        to_person(incoming)  # a bare HELP always also reaches a person (rule of conversation 2)
        return "keyword HELP"
    if read.keyword == "PAUSE" and member is not None:
        stopping.pause(session, incoming, member)
        return "keyword PAUSE"
    if read.keyword == "LESS" and member is not None:
        stopping.less_often(session, incoming, member)
        return "keyword LESS"
    if read.keyword == "START" and member is not None and incoming.arrived.proven:
        return _start(session, incoming, member)
    return None


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
        if not circle_talk.joined(session, incoming, words):
            answer(session, incoming, "already_joined_neutral")
    elif outcome in (joining_by_text.TextJoin.CLOSED, joining_by_text.TextJoin.INVITED_ONLY):
        circle_talk.shut(session, incoming, words)
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
    return f"JOIN {word}" if places.by_word(session, word) else None


def _unknown(incoming: Incoming) -> Conversation | None:
    return incoming.conversation if incoming.conversation.member_id is None else None


def _confirms(session: Session, incoming: Incoming) -> str | None:
    """YES to our request to confirm, within 72 hours and only if it was our last question."""
    member, channel = incoming.member, incoming.arrived.channel
    if member is None or incoming.read.confirm is None or not questions.confirm_open(session, member, channel):
        return None
    if not incoming.arrived.proven:
        return None
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


def _leftover(session: Session, incoming: Incoming) -> None:
    """Words for a person. A short answer to nothing is not guessed; a number that fits nowhere is asked about."""
    to_person(incoming)
    solving.in_words(session, incoming)
    member, read = incoming.member, incoming.read
    if member is None or member.state == MemberState.LEFT or not incoming.known.wants:
        return
    if incoming.message.labels.get("odd_number") and incoming.arrived.bare:
        answer(session, incoming, "odd_number", {"number": incoming.arrived.words.strip()})
    elif incoming.arrived.bare and read.me_too:
        answer(session, incoming, "me_too_nothing")
    elif incoming.arrived.bare and (read.keyword or _answers_something(incoming)):
        answer(session, incoming, "cannot_place")
    elif not duty.reading_now() and not said_lately(incoming, "free_text_received"):
        answer(session, incoming, "free_text_received", {"when": duty.when_words(session, member)})


def _answers_something(incoming: Incoming) -> bool:
    """Whether a few words look like an answer to a question that is not open (any more)."""
    any_question = understanding.reread(incoming.arrived.words, incoming.read)
    return any_question.confirm is not None or any_question.rsvp in RSVP_ANSWERS
