"""One drain: claim what is due, write it, send it, record it, until nothing is due or the time is up.

A drain takes no ids and begins nothing new once the worker has been told to stop; what it held it gives back.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import config, db, logs, queue
from service.actions import holds, member_links, outbox
from service.actions.delivery import budget, pace, results, writing
from service.actions.delivery.claims import Claimed, claim, give_back, mark_sending, refuse
from service.channels import email
from service.channels.base import EmailRecipient, EmailRequest, Result, Text
from service.channels.batches import split
from service.channels.render import MissingValue
from service.channels.sendgrid import SendGridSender
from service.channels.twilio import TwilioSender
from service.models.conversations import Message
from service.models.members import ChannelName

log = logs.get("delivery")

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
_senders: dict[str, TwilioSender | SendGridSender] = {}


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
    for sender in _senders.values():
        sender.close()
    _senders.clear()


def twilio() -> TwilioSender:
    """This process's sender of texts."""
    sender = _senders.get("sms")
    if not isinstance(sender, TwilioSender):
        sender = _senders["sms"] = TwilioSender(config.current())
    return sender


def sendgrid() -> SendGridSender:
    """This process's sender of emails."""
    sender = _senders.get("email")
    if not isinstance(sender, SendGridSender):
        sender = _senders["email"] = SendGridSender(config.current())
    return sender


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
    return _send_texts(packs, messages, texts, hold) + _send_emails(packs, messages, mails, hold)


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
            _cannot_write(c.campaign_id, [c], error)
            if c.campaign_id:
                broken.add(c.campaign_id)
    whole = {c.id for c in claimed if c.campaign_id not in broken}
    return [text for text in ready if text.delivery_id in whole]


def _cannot_write(campaign_id: UUID | None, claimed: Sequence[Claimed], error: Exception) -> None:
    """What fails for one will fail for all: the campaign waits for a person, everything else goes on."""
    log.error("a message cannot be written", campaign=str(campaign_id), exc_info=error)
    if campaign_id is None:
        for c in claimed:
            refuse(c, "cannot_render")
        return
    with db.transaction() as session:
        holds.pause_campaign(session, campaign_id, f"It cannot be written ({type(error).__name__}). Check its words.")


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


def _send_emails(
    packs: dict[UUID, writing.Pack], messages: dict[UUID, Message], claimed: Sequence[Claimed], hold: pace.Hold
) -> int:
    by_id = {c.id: c for c in claimed}
    sent = 0
    try:
        for whole in _requests(packs, messages, claimed):
            for part in split(whole):
                turn = pace.turn("email", hold, 1)
                if turn is None:
                    return sent
                pace.pause_until(turn.moment)
                sent += _send_request(part, by_id, hold)
    finally:
        give_back(claimed)
    return sent


def _send_request(part: EmailRequest, by_id: dict[int, Claimed], hold: pace.Hold) -> int:
    """Mark one request's rows, send it, record it; returns how many were handed over."""
    request_id = db.uuid7()
    allowed = mark_sending([by_id[r.delivery_id] for r in part.recipients], request_id)
    going = [r for r in part.recipients if r.delivery_id in allowed]
    if not going:
        return 0
    outcome = sendgrid().send(replace(part, request_id=str(request_id), recipients=going))
    results.record(outcome, by_id)
    if slow := [r for r in outcome if r.slow_down]:
        pace.slow_down("email", hold, slow[0].retry_after)
    return len(outcome)


def _requests(
    packs: dict[UUID, writing.Pack], messages: dict[UUID, Message], claimed: Sequence[Claimed]
) -> Iterator[EmailRequest]:
    """Emails grouped so that each request shares one body; single messages go one by one."""
    groups: dict[tuple[UUID, str, bool], list[Claimed]] = {}
    for c in claimed:
        if c.campaign_id:
            language = writing.reader_of(c).language
            groups.setdefault((c.campaign_id, language, c.discreet), []).append(c)
        elif c.message_id:
            try:
                request = _single(messages[c.message_id], c)
            except Exception as error:
                _cannot_write(None, [c], error)
            else:
                yield request
    for (campaign_id, language, discreet), rows in groups.items():
        try:
            batch = _batch(packs[campaign_id], language, discreet, rows)
        except Exception as error:
            _cannot_write(campaign_id, rows, error)
        else:
            yield batch


def _batch(pack: writing.Pack, language: str, discreet: bool, rows: list[Claimed]) -> EmailRequest:
    compiled = writing.compiled(pack, language, discreet)
    content = pack.content(ChannelName.EMAIL, language)
    fields = writing.fields_of(content.body) | writing.fields_of(content.subject) | writing.WAYS_OUT
    recipients = []
    for c in rows:
        values = writing.context(pack, writing.reader_of(c), ChannelName.EMAIL, fields)
        try:
            substitutions = compiled.substitutions(values)
        except MissingValue:
            refuse(c, "cannot_render")
            continue
        recipients.append(
            EmailRecipient(
                c.id,
                c.to,
                c.first_name,
                substitutions,
                writing.unsubscribe_headers(values["unsubscribe_url"] or ""),
                writing.reply_address(c.id),
            )
        )
    return EmailRequest(
        request_id="",
        subject=compiled.subject,
        text=compiled.text,
        html=compiled.html,
        recipients=recipients,
        from_name=writing.from_name(language, discreet),
        category=pack.campaign.kind,
    )


def _single(message: Message, c: Claimed) -> EmailRequest:
    """An answer, a confirmation or a person's reply: one recipient, our one layout."""
    reader = writing.reader_of(c)
    brand = writing.layout(reader.language, discreet=c.discreet)
    subject = message.subject or outbox.NEUTRAL.get(reader.language, outbox.NEUTRAL["en"])["subject"]
    compiled = email.compile_email(writing.literal(subject), writing.literal(message.body), layout=brand)
    headers: dict[str, str] = {}
    values: dict[str, str | None] = {"preferences_url": None, "unsubscribe_url": None}
    if c.member_id:
        url = member_links.unsubscribe_url(c.member_id, ChannelName.EMAIL, None)
        headers = writing.unsubscribe_headers(url)
        values = {
            "unsubscribe_url": url,
            "preferences_url": member_links.preferences_url(c.member_id, ChannelName.EMAIL),
        }
    if message.automatic:
        headers["Auto-Submitted"] = "auto-generated"
    if message.in_reply_to:
        headers["In-Reply-To"] = headers["References"] = message.in_reply_to
    return EmailRequest(
        request_id="",
        subject=compiled.subject,
        text=compiled.text,
        html=compiled.html,
        recipients=[
            EmailRecipient(
                c.id, c.to, c.first_name, compiled.substitutions(values), headers, writing.reply_address(c.id)
            )
        ],
        from_name=writing.from_name(reader.language, c.discreet),
        category=c.purpose,
    )
