"""Requests to stop, in any words: honoured in the transaction that stores them, before anything else leaves, with one
confirmation. And what is said to somebody who is under 18.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from service import clock
from service.actions import consent, crisis, joining_by_text
from service.actions.conversations import duty, undo
from service.actions.conversations.saying import Incoming, answer, did, said_lately, to_person
from service.actions.understanding import Minor, Scope
from service.models.campaigns import Purpose
from service.models.members import ChannelName, Member, SubscriptionState, Topic

PAUSE_FOR = timedelta(days=14)
SPECIAL_STOPS = {Scope.WRONG_PERSON: "wrong_number_done", Scope.DELETE: "deletion_received"}
CONFIRMATIONS = ("stopped", "stopped_with_line", *SPECIAL_STOPS.values())
IN_PART = (Scope.CHANNEL_SMS, Scope.CHANNEL_EMAIL, Scope.TOPIC, Scope.PAUSE, Scope.LESS)
ONCE_A_WEEK = 1
"""Messages a week at most, for whoever asks for less."""


def stop(session: Session, incoming: Incoming, *, with_line: bool = False) -> bool:
    """End what this asks to end. `with_line`: there was risk in it, so the one confirmation carries the local line.
    Whether one was sent that does.

    Silence about the scope means everything, and so does what we cannot tell apart (47 CFR 64.1200(a)(10)).
    """
    read, arrived = incoming.read, incoming.arrived
    did(incoming, f"opt_out {read.scope or 'all'}")
    if not wholly(incoming):
        _stop_part(session, incoming, silent=with_line)
        to_person(incoming)
        return False
    again = consent.suppressed(session, arrived.channel, arrived.sender)
    for member in incoming.members:
        consent.stop(session, member, source=f"{arrived.channel}: in their words", evidence=incoming.evidence)
    consent.suppress(session, arrived.channel, arrived.sender, "opt_out", arrived.channel)
    line_said = _confirm(session, incoming, again=again, with_line=with_line)
    bare_stop = read.keyword == "STOP" and arrived.bare and read.scope in (None, Scope.ALL)
    if not bare_stop or with_line:
        to_person(incoming)  # there are words besides the request, and a person reads every word
    return line_said


def wholly(incoming: Incoming) -> bool:
    """Whether this request to stop ends everything, and not one channel, one topic, or some weeks only."""
    in_part = incoming.read.scope in IN_PART and bool(incoming.members)
    return not in_part or incoming.arrived.provider_answered == "STOP"


def _confirm(session: Session, incoming: Incoming, *, again: bool, with_line: bool) -> bool:
    """The one confirmation; whoever has stopped already and says so again has had it (47 CFR 64.1200(a)(12)). Whether
    one with the line was sent."""
    everything: dict[str, Any] = {"everything": any(len(m.addresses) > 1 for m in incoming.members)}
    if with_line:
        if again and said_lately(incoming, "stopped_with_line"):
            return False
        return answer(session, incoming, "stopped_with_line", everything | _youth_line(incoming))
    if not (again and said_lately(incoming, *CONFIRMATIONS)):
        template = SPECIAL_STOPS.get(incoming.read.scope or Scope.ALL, "stopped")
        answer(session, incoming, template, everything if template == "stopped" else None)
    return False


def _youth_line(incoming: Incoming) -> dict[str, Any]:
    """For somebody under 18 the line for people of that age stands in place of the other."""
    if incoming.read.minor != Minor.SELF:
        return {}
    member = incoming.member
    country = member.country if member else ""
    return {"crisis_line": crisis.lines(country, incoming.read.language).youth_line}


def _stop_part(session: Session, incoming: Incoming, *, silent: bool) -> None:
    """One channel, one topic, for a while, or less of it all. `silent`: the answer to risk has been given."""
    read = incoming.read
    if read.scope in (Scope.CHANNEL_SMS, Scope.CHANNEL_EMAIL):
        channel = ChannelName.SMS if read.scope == Scope.CHANNEL_SMS else ChannelName.EMAIL
        _stop_channel(session, incoming, channel, silent=silent)
    elif read.scope == Scope.TOPIC and read.topic in [t.value for t in Topic]:
        _stop_topic(session, incoming, Topic(read.topic), silent=silent)
    elif read.scope == Scope.LESS and incoming.member is not None:
        less_often(session, incoming, incoming.member, silent=silent)
    elif incoming.member is not None:
        pause(session, incoming, incoming.member, silent=silent)
    else:
        for member in incoming.members:
            consent.pause(session, member, _until(member), source=_source(incoming), evidence=incoming.evidence)


def _stop_channel(session: Session, incoming: Incoming, channel: ChannelName, *, silent: bool) -> None:
    for member in incoming.members:
        consent.stop(session, member, channel=channel, source=_source(incoming), evidence=incoming.evidence)
    if silent:
        return
    has_mail = any(m.address(ChannelName.EMAIL) for m in incoming.members)
    if channel == ChannelName.SMS and has_mail and incoming.arrived.channel == channel:
        answer(session, incoming, "email_only_please_done")
    elif channel == incoming.arrived.channel:
        answer(session, incoming, "stopped", {"everything": False})
    else:
        answer(session, incoming, "channel_stopped", {"channel": channel.value})


def _stop_topic(session: Session, incoming: Incoming, topic: Topic, *, silent: bool) -> None:
    for member in incoming.members:
        on = [
            s.channel.value for s in member.subscriptions if s.topic == topic and s.state != SubscriptionState.STOPPED
        ]
        for channel in ChannelName:
            consent.stop(
                session, member, channel=channel, topics=[topic], source=_source(incoming), evidence=incoming.evidence
            )
        undo.remember(session, member, incoming.message, "topic", {"topic": topic.value, "channels": on})
    discreet = any(m.discreet for m in incoming.members)
    if not silent:
        answer(session, incoming, "topic_stopped", {"topic": "" if discreet else topic.value})


def pause(session: Session, incoming: Incoming, member: Member, *, silent: bool = False) -> None:
    """A break of two weeks, or what is left of a longer one; OOPS undoes it."""
    before = member.paused_until
    until = consent.pause(session, member, _until(member), source=_source(incoming), evidence=incoming.evidence)
    undo.remember(session, member, incoming.message, "pause", {"before": before.isoformat() if before else None})
    if not silent:
        answer(session, incoming, "paused", {"until": duty.day_words(until, member)})


def less_often(session: Session, incoming: Incoming, member: Member, *, silent: bool = False) -> None:
    """Once a week at most from now on; OOPS undoes it. Whoever has that already and finds it too much has a break."""
    before = member.weekly_cap
    if before is not None and 0 < before <= ONCE_A_WEEK and incoming.read.keyword != "LESS":
        pause(session, incoming, member, silent=silent)
        return
    member.weekly_cap = ONCE_A_WEEK
    undo.remember(session, member, incoming.message, "less", {"before": before})
    if not silent:
        often = {"es": "como mucho una vez por semana"}.get(member.language, "at most once a week")
        answer(session, incoming, "less_often", {"often": often})


def pause_quietly(session: Session, incoming: Incoming, member: Member) -> None:
    """Words that may be meant as a stop: nothing of our own accord until a person has read them."""
    incoming.message.labels = incoming.message.labels | {"may_stop": "rests"}
    source = f"{incoming.arrived.channel}: may want to stop"
    consent.pause(session, member, _until(member), source=source, evidence=incoming.evidence)


def rest_unproven(session: Session, incoming: Incoming) -> None:
    """A mail that may be forged asks us to stop. Somebody who wants a member to be alone could write it, and so could
    the member: nothing leaves by itself until a person has decided, and nothing is ended.
    """
    did(incoming, "opt_out unproven")
    for member in incoming.members:
        source = f"{incoming.arrived.channel}: asked to stop, sender not proven"
        consent.pause(session, member, _until(member), source=source, evidence=incoming.evidence)
    to_person(incoming)


def tell_minor(session: Session, incoming: Incoming, *, silent: bool) -> bool:
    """Somebody says that they are under 18: kindly, with the youth line, and once a day. `silent`: the confirmation
    of a stop says it. Whether it was said here.
    """
    if not incoming.arrived.trusted:
        return False
    if incoming.arrived.channel == ChannelName.SMS:
        joining_by_text.decline_join(session, incoming.arrived.sender)
    if silent or said_lately(incoming, "not_adult"):
        return False
    return answer(session, incoming, "not_adult", purpose=Purpose.SAFETY)


def _until(member: Member) -> datetime:
    """Two weeks from now; asking twice must not shorten a longer break."""
    soon = clock.now() + PAUSE_FOR
    return max(soon, member.paused_until) if member.paused_until else soon


def _source(incoming: Incoming) -> str:
    return f"{incoming.arrived.channel}: in their words"
