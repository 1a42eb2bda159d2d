"""Writing a plan of an import: one statement a table, whatever the number of members, in the caller's transaction.

Also here: the one request to confirm that an address without proof of consent gets, once ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import member_links, outbox, zones
from service.actions.delivery.rules import next_opening
from service.actions.imports_plan import Plan, Question, Standing, Values
from service.models.campaigns import PRIORITY, Delivery, DeliveryState, Purpose
from service.models.conversations import Conversation, ConversationState, Direction, Message
from service.models.gatherings import CircleMembership
from service.models.members import (
    Address,
    ChannelName,
    ConfirmationAsked,
    ConsentEvent,
    Member,
    Subscription,
    Topic,
)

AT_ONCE = 100
"""Up to so many requests leave at once, as after a meeting where people signed up. More of them wait for each
member's sending window, in the queue of campaigns and behind them: nobody is woken by a spreadsheet."""
BULK_PRIORITY = 60
_NAME, _LINK = "\ue000name\ue000", "\ue000link\ue000"


@dataclass
class Asking:
    """How the requests of one import leave; keeps the words that many of them share."""

    at_once: bool
    now: datetime = field(default_factory=clock.now)
    words: dict[tuple[Any, ...], tuple[str, str]] = field(default_factory=dict)
    openings: dict[str, datetime] = field(default_factory=dict)

    def due(self, time_zone: str) -> datetime:
        """When a request to somebody in this zone may leave."""
        if self.at_once:
            return self.now
        if time_zone not in self.openings:
            low, high = zones.offsets(time_zone, self.now)
            self.openings[time_zone] = next_opening(self.now, low, high, *config.current().window)
        return self.openings[time_zone]

    def text(self, member: Values, channel: ChannelName, topics: tuple[Topic, ...], link: str) -> tuple[str, str]:
        """(subject, body) of the request to confirm. What members share is rendered once for all of them."""
        name, language = member["first_name"], member["locale"].split("-")[0]
        key = (channel, language, member["country"], topics, bool(name))
        if key not in self.words:
            context = outbox.facts(member["country"], language, _NAME if name else "") | {
                "topics": [t.value for t in topics],
                "per_week": config.current().weekly_cap,
                "confirm_url": _LINK,
            }
            self.words[key] = outbox.words_for(channel, "confirm", context)
        subject, body = self.words[key]
        return subject.replace(_NAME, name), body.replace(_NAME, name).replace(_LINK, link)


def write(session: Session, made: Plan, asking: Asking) -> int:
    """Carry out a plan; how many addresses were asked to confirm."""
    zones.ensure(session, {m["time_zone"] for m in [*made.members, *made.member_changes] if "time_zone" in m})
    questions = _claim(session, made.questions)
    for question in questions:
        question.address["asked_at"] = asking.due(question.member["time_zone"])
    for model, rows in (
        (Member, made.members),
        (Address, made.addresses),
        (Subscription, _grid(made.subscriptions)),
        (ConsentEvent, made.ledger),
        (CircleMembership, made.places),
    ):
        _insert(session, model, rows)
    for model, rows in (
        (Member, made.member_changes),
        (Address, made.address_changes),
        (Subscription, made.subscription_changes),
    ):
        if rows:
            session.execute(update(model), rows)
    if questions:
        _ask(session, questions, asking)
    return len(questions)


def _grid(standings: Sequence[Standing]) -> list[Values]:
    now = clock.now()
    return [
        {
            "id": db.uuid7(),
            "member_id": new.member_id,
            "topic": topic,
            "channel": new.channel,
            "state": new.state,
            "changed_at": now,
        }
        for new in standings
        for topic in new.topics
    ]


def _claim(session: Session, questions: Sequence[Question]) -> list[Question]:
    """Take the one right, ever, to ask each of these addresses; those that nobody asked before."""
    if not questions:
        return []
    rows = [
        {"channel": q.address["channel"], "index_hash": q.address["index_hash"], "at": clock.now()} for q in questions
    ]
    table = ConfirmationAsked.__table__
    claimed = session.execute(
        db.insert(table).values(rows).on_conflict_do_nothing().returning(table.c.channel, table.c.index_hash)
    )
    ours = {(channel, bytes(digest)) for channel, digest in claimed}
    return [q for q in questions if (q.address["channel"], q.address["index_hash"]) in ours]


def _ask(session: Session, questions: Sequence[Question], asking: Asking) -> None:
    threads = _threads(session, {q.member["id"]: q.address["channel"] for q in questions})
    messages, deliveries = [], []
    for question in questions:
        member, address = question.member, question.address
        channel = address["channel"]
        link = member_links.confirm_url(address["id"]) if channel == ChannelName.EMAIL else ""
        subject, body = asking.text(member, channel, question.topics, link)
        message_id = db.uuid7()
        messages.append(
            {
                "id": message_id,
                "conversation_id": threads[member["id"]],
                "member_id": member["id"],
                "direction": Direction.OUT,
                "channel": channel,
                "purpose": Purpose.CONFIRM,
                "subject": subject or None,
                "body": body,
                "template": "confirm",
                "automatic": True,
                "at": asking.now,
            }
        )
        deliveries.append(_delivery(message_id, member, address, asking))
    _insert(session, Message, messages)
    _insert(session, Delivery, deliveries)


def _delivery(message_id: UUID, member: Values, address: Values, asking: Asking) -> Values:
    bulk = "texts" if address["channel"] == ChannelName.SMS else "emails"
    return {
        "message_id": message_id,
        "member_id": member["id"],
        "address_id": address["id"],
        "channel": address["channel"],
        "purpose": Purpose.CONFIRM,
        "queue": "replies" if asking.at_once else bulk,
        "priority": PRIORITY[Purpose.CONFIRM] if asking.at_once else BULK_PRIORITY,
        "state": DeliveryState.QUEUED,
        "due_at": asking.due(member["time_zone"]),
        "created_at": asking.now,
        "updated_at": asking.now,
    }


def _threads(session: Session, members: dict[UUID, ChannelName]) -> dict[UUID, UUID]:
    """The conversation of each member, made where there is none."""
    now = clock.now()
    found = select(Conversation.member_id, Conversation.id).where(Conversation.member_id.in_(members))
    threads: dict[UUID, UUID] = {member_id: thread for member_id, thread in session.execute(found) if member_id}
    session.execute(update(Conversation).where(Conversation.id.in_(threads.values())).values(last_out_at=now))
    missing: list[Values] = [
        {
            "id": db.uuid7(),
            "member_id": member_id,
            "channel": channel,
            "state": ConversationState.RESOLVED,
            "last_out_at": now,
            "created_at": now,
        }
        for member_id, channel in members.items()
        if member_id not in threads
    ]
    _insert(session, Conversation, missing)
    threads.update((row["member_id"], row["id"]) for row in missing)
    return threads


def _insert(session: Session, model: type[db.Base], rows: list[Values]) -> None:
    if rows:
        table: Any = model.__table__
        session.connection().execute(insert(table), rows)
