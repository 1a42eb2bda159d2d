"""What becomes of a message that cannot be processed: it goes before a person as it came, and counts as a concern."""

import base64
import json
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service import clock, db
from service.actions import contacts
from service.actions.conversations import store
from service.actions.safety import raise_flag
from service.models.conversations import (
    Conversation,
    ConversationState,
    Direction,
    Message,
    RiskTier,
    WebhookEvent,
)
from service.models.members import ChannelName

MOST = 20_000
"""Characters of it that are shown; the raw event keeps all of it for a while."""


@dataclass(frozen=True, slots=True)
class _Salvaged:
    channel: ChannelName
    words: str
    sender: str


def hand_to_person(session: Session, event: WebhookEvent) -> Message:
    """Open a conversation with whatever can be made out, and flag it: nobody could screen it. Nothing is unseen."""
    found = _salvage(event)
    digest = db.blind_index(found.channel, found.sender) if found.sender else None
    conversation = Conversation(
        id=db.uuid7(), channel=found.channel, state=ConversationState.NEEDS_REPLY, waiting_since=event.received_at,
        last_in_at=event.received_at, address_hash=digest, unknown_from=found.sender or None, tags="unreadable",
        unread=1, created_at=clock.now(),
    )  # fmt: skip
    session.add(conversation)
    session.flush()
    message = Message(
        id=db.uuid7(), conversation_id=conversation.id, event_id=event.id, direction=Direction.IN,
        channel=found.channel, body=found.words[:MOST], labels={"reasons": ["unreadable"]}, at=event.received_at,
    )  # fmt: skip
    session.add(message)
    session.flush()
    raise_flag(session, conversation, None, message, RiskTier.CONCERN, ["could not be read"], may_answer=False)
    return message


def _salvage(event: WebhookEvent) -> _Salvaged:
    """Words and sender as far as they can be had, with as few assumptions as possible. Never raises."""
    raw = event.raw or ""
    channel = ChannelName.SMS if event.kind == store.TEXT else ChannelName.EMAIL
    try:
        data = json.loads(raw)
        if channel == ChannelName.SMS:
            form = data["form"]
            return _Salvaged(channel, str(form.get("Body", "")), contacts.normal(channel, str(form.get("From", ""))))
        return _Salvaged(channel, base64.b64decode(data["body"]).decode("utf-8", "replace"), "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Salvaged(channel, raw, "")
