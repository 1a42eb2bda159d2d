"""Talking with the service without any network: what a member writes goes in as the webhook that a provider would have
sent, and what may leave is taken from the engine, judged by every rule, as if the provider had accepted it.
"""

import base64
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from service import config, db, links
from service.actions import campaigns, conversations
from service.actions.conversations import store
from service.actions.delivery import claims, writing
from service.actions.delivery.results import record
from service.channels.base import Outcome, Result
from service.models.conversations import Conversation, ConversationState, Flag, Message
from service.models.members import ChannelName, Member
from tests.flows import world

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
BOUNDARY = "xYzZY"
NOON = datetime(2026, 5, 5, 16, tzinfo=UTC)
"""When these stories happen: a Tuesday, noon in New York."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Out:
    """One message that left."""

    to: str
    channel: ChannelName
    body: str
    template: str | None
    purpose: str
    delivery_id: int


class Talk:
    """Everything that is said in a test, both ways."""

    def __init__(self) -> None:
        self.left: list[Out] = []

    def send(self, *args: Any, **more: Any) -> Any:
        """Start a campaign and let it leave."""
        campaign_id = world.send(*args, **more)
        campaigns.freeze(campaign_id)
        self.deliver()
        return campaign_id

    def deliver(self) -> list[Out]:
        """Let everything leave that may; what did."""
        gone = []
        for name in ("replies", "texts", "emails"):
            while (batch := claims.claim(name, 100)).examined:
                for c in batch.claimed:
                    if claims.mark_sending([c]):
                        gone.append(self._out(c))
                        done = Result(c.id, Outcome.ACCEPTED, provider_id=f"SM{next(_numbers):032d}")
                        record([done], {c.id: c})
        self.left += gone
        return gone

    def _out(self, c: claims.Claimed) -> Out:
        with db.reading() as session:
            if c.message_id:
                message = session.get_one(Message, c.message_id)
                return Out(c.to, c.channel, message.body, message.template, c.purpose, c.id)
            assert c.campaign_id
            pack = writing.load_pack(session, c.campaign_id)
            body = pack.content(c.channel, writing.reader_of(c).language).body
            return Out(c.to, c.channel, body, None, c.purpose, c.id)

    def text(self, phone: str, words: str, **form: str) -> list[str]:
        """A member writes a text; the templates of what goes back to that phone."""
        data = {"MessageSid": f"SM{next(_numbers):032x}", "From": phone, "To": "+15005550006", "Body": words} | form
        store.keep([store.Incoming("twilio", store.TEXT, data["MessageSid"], json.dumps({"form": data}))])
        return self._answers(phone)

    def mail(
        self, sender: str, words: str, *, answers: Out | None = None, headers: Iterable[str] = (),
        subject: str = "Re: Hello", checks: tuple[str, str] = ("pass", "{@example.org : pass}"), mail_id: str = "",
        spam: str = "0.1", envelope: str | None = None,
    ) -> list[str]:  # fmt: skip
        """A member writes a mail (`answers`: to the reply address of that one); the templates of what goes back."""
        token = links.reply_token("d", str(answers.delivery_id)) if answers else ""
        domain = config.current().sendgrid_inbound_domain
        to = f"reply+{token}@{domain}" if token else f"hello@{domain}"
        mail_id = mail_id or f"<m{next(_numbers)}@example.org>"
        lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Message-ID: {mail_id}", *headers]
        fields = {
            "headers": "\n".join(lines) + "\n", "from": sender, "to": to, "subject": subject, "text": words,
            "envelope": json.dumps({"to": [to], "from": sender if envelope is None else envelope}),
            "SPF": checks[0], "dkim": checks[1], "spam_score": spam,
        }  # fmt: skip
        parts = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        body = (parts + f"--{BOUNDARY}--\r\n").encode()
        raw = {
            "content_type": f"multipart/form-data; boundary={BOUNDARY}", "body": base64.b64encode(body).decode(),
        }  # fmt: skip
        store.keep([store.Incoming("sendgrid", store.EMAIL, mail_id, json.dumps(raw))])
        return self._answers(sender)

    def _answers(self, to: str) -> list[str]:
        conversations.process_inbound()
        return [out.template or out.body for out in self.deliver() if out.to == to]

    @property
    def last(self) -> Out:
        """The last message that left."""
        return self.left[-1]

    def pages(self) -> list[str]:
        """The templates of the pages that went to staff by text."""
        return [o.template or "" for o in self.left if o.purpose == "page" and o.channel == SMS]


def conversation(member: Member | None = None) -> Conversation:
    """A member's conversation, or the only one with somebody unknown."""
    with db.reading() as session:
        mine = Conversation.member_id == member.id if member else Conversation.member_id.is_(None)
        return session.scalars(select(Conversation).where(mine)).one()


def waits(member: Member | None = None) -> bool:
    """Whether a person still has to answer."""
    return conversation(member).state == ConversationState.NEEDS_REPLY


def flags() -> list[Flag]:
    """All flags, oldest first."""
    with db.reading() as session:
        return list(session.scalars(select(Flag).order_by(Flag.opened_at)))


def messages() -> list[Message]:
    """All messages in conversations, oldest first."""
    with db.reading() as session:
        return list(session.scalars(select(Message).order_by(Message.at, Message.id)))
