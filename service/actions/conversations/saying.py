"""A stored message with what is known about it, and what can always be done with one: answer it, or tell a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from service.actions import contacts, outbox
from service.actions.conversations import loops, questions
from service.actions.conversations.gathering import Known
from service.actions.conversations.incoming import Arrived
from service.actions.conversations.lately import Lately
from service.actions.understanding import Understanding
from service.models.campaigns import Purpose
from service.models.conversations import Conversation, ConversationState, Message
from service.models.members import ChannelName, Member

SAID_ONCE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A stored message with everything that is known about it."""

    message: Message
    conversation: Conversation
    members: list[Member]
    arrived: Arrived
    read: Understanding
    asked: list[questions.Asked]
    lately: Lately
    known: Known
    """What else was known of the sender before it came."""

    @property
    def member(self) -> Member | None:
        """The one member who wrote; None for a stranger, or an address that two share."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def evidence(self) -> str:
        """How the ledger names this message."""
        return f"message {self.message.id}"


def to_person(incoming: Incoming) -> None:
    """Put the conversation before a person, also one that was resolved or snoozed. A stranger's is held, unless it has
    been taken up already.
    """
    conversation = incoming.conversation
    if conversation.member_id is not None:
        conversation.state, conversation.snoozed_until = ConversationState.NEEDS_REPLY, None
    elif conversation.state != ConversationState.NEEDS_REPLY:
        conversation.state, conversation.snoozed_until = ConversationState.HELD, None
        conversation.tags = conversation.tags.replace("moved", "")
    conversation.waiting_since = conversation.waiting_since or incoming.message.at


def answer(
    session: Session,
    incoming: Incoming,
    template: str,
    extra: Mapping[str, Any] | None = None,
    *,
    purpose: Purpose = Purpose.ANSWER,
) -> bool:
    """Send one of our own texts back on the channel that was written on; silent where the provider has answered.
    Whether it was said."""
    if incoming.arrived.provider_answered or incoming.message.automatic or incoming.arrived.held:
        return False
    may_go_round = purpose != Purpose.SAFETY and template not in loops.ALWAYS
    if may_go_round and loops.going_round(incoming.lately, incoming.message, template):
        incoming.message.labels = incoming.message.labels | {"loop": True}
        to_person(incoming)
        return False
    member = incoming.member
    if member is not None:
        said = outbox.say(session, member, template, incoming.arrived.channel, purpose, extra, answers=incoming.message)
        incoming.lately.add(said)
        return True
    country = contacts.country_of(incoming.arrived.sender) if incoming.arrived.channel == ChannelName.SMS else ""
    language = incoming.read.language
    if any(m.discreet for m in incoming.members):
        neutral = outbox.NEUTRAL.get(language, outbox.NEUTRAL["en"])
        extra = {"org_name": neutral["sender"], **(extra or {})}
    said = outbox.say_to(
        session, incoming.arrived.channel, incoming.arrived.sender, template, country=country, language=language,
        purpose=purpose, context=extra, conversation=incoming.conversation,
    )  # fmt: skip
    incoming.lately.add(said)
    return True


def did(incoming: Incoming, what: str) -> None:
    """Keep beside the message what it did."""
    incoming.message.labels = incoming.message.labels | {"did": what}


def said_lately(incoming: Incoming, *templates: str) -> bool:
    """Whether one of these answers was given in the last day: once is kind, twice is a machine."""
    return incoming.lately.said(SAID_ONCE, *templates)
