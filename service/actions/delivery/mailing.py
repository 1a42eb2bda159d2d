"""Sending claimed emails: a campaign in requests of up to a thousand of one language, single ones one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from service import config, db
from service.actions import member_links, outbox
from service.actions.delivery import mail_words as words
from service.actions.delivery import pace, results, writing
from service.actions.delivery.claims import Claimed, cannot_write, give_back, mark_sending, refuse
from service.channels import email
from service.channels.base import EmailRecipient, EmailRequest
from service.channels.batches import split
from service.channels.render import MissingValue
from service.channels.sendgrid import SendGridSender
from service.models.conversations import Message
from service.models.members import ChannelName

_sender: SendGridSender | None = None


def close() -> None:
    """Let go of connections."""
    global _sender
    if _sender is not None:
        _sender.close()
    _sender = None


def sendgrid() -> SendGridSender:
    """This process's sender of emails."""
    global _sender
    if _sender is None:
        _sender = SendGridSender(config.current())
    return _sender


def send(
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
                cannot_write(None, [c], error)
            else:
                yield request
    for (campaign_id, language, discreet), rows in groups.items():
        try:
            batch = _batch(packs[campaign_id], language, discreet, rows)
        except Exception as error:
            cannot_write(campaign_id, rows, error)
        else:
            yield batch


def _batch(pack: writing.Pack, language: str, discreet: bool, rows: list[Claimed]) -> EmailRequest:
    compiled = words.compiled(pack, language, discreet)
    content = pack.content(ChannelName.EMAIL, language)
    fields = writing.fields_of(content.body) | writing.fields_of(content.subject) | words.WAYS_OUT
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
                words.unsubscribe_headers(values["unsubscribe_url"] or ""),
                words.reply_address(c.id),
            )
        )
    return EmailRequest(
        request_id="",
        subject=compiled.subject,
        text=compiled.text,
        html=compiled.html,
        recipients=recipients,
        from_name=words.from_name(language, discreet),
        category=pack.campaign.kind,
    )


def _single(message: Message, c: Claimed) -> EmailRequest:
    """An answer, a confirmation or a person's reply: one recipient, our one layout."""
    reader = writing.reader_of(c)
    brand = words.layout(reader.language, discreet=c.discreet)
    subject = message.subject or outbox.NEUTRAL.get(reader.language, outbox.NEUTRAL["en"])["subject"]
    compiled = email.compile_email(words.literal(subject), words.literal(message.body), layout=brand)
    headers: dict[str, str] = {}
    values: dict[str, str | None] = {"preferences_url": None, "unsubscribe_url": None}
    if c.member_id:
        url = member_links.unsubscribe_url(c.member_id, ChannelName.EMAIL, None)
        headers = words.unsubscribe_headers(url)
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
            EmailRecipient(c.id, c.to, c.first_name, compiled.substitutions(values), headers, words.reply_address(c.id))
        ],
        from_name=words.from_name(reader.language, c.discreet),
        category=c.purpose,
    )
