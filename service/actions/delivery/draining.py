"""One drain: claim what is due, write it, send it, record it, until nothing is due or the time is up.

A drain takes no ids and begins nothing new once the worker has been told to stop; what it held it gives back.
"""

import sys
import time
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import config, db, queue
from service.actions.delivery import budget, pace, results, writing
from service.actions.delivery.claims import Claimed, cannot_write, claim, give_back, mark_sending, refuse
from service.channels.base import Result, Text
from service.channels.render import MissingValue
from service.channels.twilio import TwilioSender
from service.models.conversations import Message
from service.models.members import ChannelName

_MAILING = "service.actions.delivery.mailing"
BUDGET = 20.0
"""Seconds of one drain; then the bell is rung again, so that a worker stays answerable."""
CLAIM_AT_MOST = 500
RECORD_EVERY = 500
RECORD_WITHIN = 0.5
"""Results are written in bulk: after this many, or with the first that comes after this many seconds."""
GROUP_SECONDS = 0.25
"""Where nobody sets a pace, as many texts are marked together as leave in this time: a commit costs as much for one
as for hundreds, and what is marked when a worker dies has to be asked for at the provider.
"""

_speed = 0.0
"""Texts a second that this process handed over of late."""
_sender: TwilioSender | None = None


def drain(queue_name: str, budget: float = BUDGET) -> int:
    """Send what is due on a queue for at most `budget` seconds; returns how many messages were handed over.

    Rings the bell again when there was more.
    """
    ends = time.monotonic() + budget
    sent = 0
    packs = _Packs()
    while not queue.stopping.is_set():
        if time.monotonic() >= ends:
            queue.ring(f"drain_{queue_name}")
            break
        with pace.reserved(queue_name, CLAIM_AT_MOST) as hold:
            if not hold.size:
                queue.stopping.wait(min(hold.wait, ends - time.monotonic()))
                continue
            batch = claim(queue_name, hold.size, only=hold.only)
            if not batch.examined:
                break
            sent += _send(packs, batch.claimed, hold)
    return sent


def close() -> None:
    """Let go of connections and threads; for the end of a worker, and for tests."""
    global _sender
    if _sender is not None:
        _sender.close()
    _sender = None
    if mailing := sys.modules.get(_MAILING):
        mailing.close()


def twilio() -> TwilioSender:
    """This process's sender of texts."""
    global _sender
    if _sender is None:
        _sender = TwilioSender(config.current())
    return _sender


class _Packs:
    """What the campaigns of one drain say, kept for a few seconds.

    A stop, a pause or a story that was withdrawn is judged at the claim and when a message is marked, not here.
    """

    KEEP = 5.0

    def __init__(self) -> None:
        self._found: dict[UUID, tuple[writing.Pack, float]] = {}

    def of(self, session: Session, ids: set[UUID]) -> dict[UUID, writing.Pack]:
        """The packs of these campaigns."""
        old = time.monotonic() - self.KEEP
        self._found = {i: found for i, found in self._found.items() if found[1] > old}
        for i in ids - self._found.keys():
            self._found[i] = writing.load_pack(session, i), time.monotonic()
        return {i: self._found[i][0] for i in ids}


def _send(kept: _Packs, claimed: Sequence[Claimed], hold: pace.Hold) -> int:
    if not claimed:
        return 0
    with db.reading() as session:
        packs = kept.of(session, {c.campaign_id for c in claimed if c.campaign_id})
        ids = [c.message_id for c in claimed if c.message_id]
        messages = {m.id: m for m in session.scalars(select(Message).where(Message.id.in_(ids)))} if ids else {}
    texts = [c for c in claimed if c.channel == ChannelName.SMS]
    mails = [c for c in claimed if c.channel == ChannelName.EMAIL]
    sent = _send_texts(packs, messages, texts, hold) if texts else 0
    if mails:
        from service.actions.delivery import mailing  # a worker of texts never needs what this needs

        sent += mailing.send(packs, messages, mails, hold)
    return sent


def _send_texts(
    packs: dict[UUID, writing.Pack], messages: dict[UUID, Message], claimed: Sequence[Claimed], hold: pace.Hold
) -> int:
    by_id = {c.id: c for c in claimed}
    try:
        ready = _written(packs, messages, claimed)
        return _hand_over(ready, by_id, hold) if ready else 0
    finally:
        give_back(claimed)


def _written(packs: dict[UUID, writing.Pack], messages: dict[UUID, Message], claimed: Sequence[Claimed]) -> list[Text]:
    """The texts that can be written. One without a value for a field is skipped; a broken campaign is paused."""
    ready: list[Text] = []
    broken: set[UUID | None] = set()
    for c in claimed:
        if c.campaign_id in broken:
            continue
        try:
            ready.append(writing.text(packs, messages, c))
            c.segments = budget.segments_of(ready[-1].body)
        except MissingValue:
            refuse(c, "cannot_render")
        except Exception as error:
            cannot_write(c.campaign_id, [c], error)
            if c.campaign_id:
                broken.add(c.campaign_id)
    whole = {c.id for c in claimed if c.campaign_id not in broken}
    return [text for text in ready if text.delivery_id in whole]


def _hand_over(ready: Sequence[Text], by_id: dict[int, Claimed], hold: pace.Hold) -> int:
    """Send texts that are written, and write down what becomes of them; returns how many were handed over."""
    global _speed
    began = flushed = time.monotonic()
    found: list[Result] = []
    sent = 0
    turns = _Turns(by_id, hold, len(ready))
    gap = 1 / hold.rate if hold.rate else 0.0
    group = hold.group if hold.rate else max(hold.group, min(CLAIM_AT_MOST, int(_speed * GROUP_SECONDS)))
    stream = twilio().send(ready, started=turns.begin, stop=turns.over, group=group, most=hold.in_flight, gap=gap)
    for result in stream:
        found.append(result)
        sent += 1
        if result.slow_down:
            pace.slow_down("sms", hold, result.retry_after)
            turns.end()
        if len(found) >= RECORD_EVERY or time.monotonic() > flushed + RECORD_WITHIN:
            results.record(found, by_id)
            found, flushed = [], time.monotonic()
    results.record(found, by_id)
    _speed = sent / (time.monotonic() - began)
    return sent


class _Turns:
    """When each group of one claim's texts may begin."""

    def __init__(self, by_id: dict[int, Claimed], hold: pace.Hold, count: int) -> None:
        self._by_id = by_id
        self._hold = hold
        self._left = count
        self._given_up = self._stopped = False

    def begin(self, ids: Sequence[int]) -> dict[int, float]:
        """Wait for the turn of these and write down that they leave; the moment of each that may, if it is in time."""
        self._left -= len(ids)
        turn = pace.turn("sms", self._hold, len(ids), self._left)
        if turn is None:
            self._given_up = True
            return {}
        marked = mark_sending([self._by_id[i] for i in ids])
        return {id_: moment for id_, moment in turn.of(ids).items() if id_ in marked}

    def end(self) -> None:
        """The provider asks for a rest: what has its turn and has not begun is given back."""
        self._given_up = True

    def over(self) -> bool:
        """Whether nothing more of this claim should begin.

        Told to stop, this gives back at once what has not begun: a provider that hangs holds up only what it has.
        """
        if queue.stopping.is_set() and not self._stopped:
            self._stopped = True
            give_back(list(self._by_id.values()))
        return self._given_up or self._stopped
