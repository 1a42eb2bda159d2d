"""Trying a campaign before it is sent: what one reader would get, how long and how dear texts are, a test to oneself.

Nothing here carries a member's own signed links: whoever previews could otherwise change that member's settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, selectinload

from service import clock, config, db
from service.actions import audience as audiences
from service.actions import audit, outbox
from service.actions.campaigns.compose import Problem, field_name, get
from service.actions.delivery import mail_words, writing
from service.channels import email, render
from service.channels.segments import Measure, estimate_cost, measure, suggest
from service.errors import Invalid
from service.models.campaigns import Campaign, Purpose
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator


def example(language: str = "en") -> writing.Reader:
    """Stands in for a member where nobody is in the audience yet, or nobody who reads this language."""
    return writing.Reader(None, "Ana", language, "UTC", config.current().default_country)


def reader_of(member: Member) -> writing.Reader:
    """Whom a member is to the templates, but for their own links."""
    return writing.Reader(None, member.first_name, member.locale, member.time_zone, member.country, member.discreet)


def introduced(member: Member, channel: ChannelName) -> datetime | None:
    """When this address was last told who writes and how to stop; None: this would be the first text to it."""
    address = member.address(channel)
    return address.introduced_at if address else None


@dataclass(frozen=True)
class Rendered:
    """One message as one reader gets it. `html` is for an isolated frame; `measure` only for texts."""

    channel: ChannelName
    subject: str
    text: str
    html: str = ""
    measure: Measure | None = None
    cost: Decimal | None = None
    """US dollars, an estimate."""
    sender: str = ""
    """Who it is from, as the reader sees it."""


def rendered_for(
    pack: writing.Pack, reader: writing.Reader, channel: ChannelName, introduced_at: datetime | None
) -> Rendered:
    """A campaign's message as this reader would get it. Raises Invalid (TemplateInvalid, MissingValue).

    `introduced_at` is when the address was last told how to stop: it decides about the lines that are added to a text.
    """
    if channel == ChannelName.SMS:
        body = writing.text_body(pack, reader, introduced_at)
        size = measure(body)
        return Rendered(channel, "", body, measure=size, cost=estimate_cost(size.segments, reader.country))
    compiled = mail_words.compiled(pack, reader.language, reader.discreet)
    content = pack.content(channel, reader.language)
    fields = writing.fields_of(content.body) | writing.fields_of(content.subject) | writing.URL_FIELDS
    subject, text, html = email.render_email(compiled, writing.context(pack, reader, channel, fields))
    return Rendered(channel, subject, text, html, sender=mail_words.from_name(reader.language, reader.discreet))


def previews(
    session: Session, campaign: Campaign, member: Member | None, language: str = "en"
) -> list[Rendered | Problem]:
    """What a member (None: an example reader of `language`) would get on each channel, or why it cannot be written."""
    reader = reader_of(member) if member else example(language)
    pack = writing.load_pack(session, campaign.id)
    found: list[Rendered | Problem] = []
    for channel in campaign.channel_names:
        if not any(c.channel == channel for c in campaign.contents):
            continue
        at = introduced(member, channel) if member else clock.now()
        try:
            found.append(rendered_for(pack, reader, channel, at))
        except Invalid as error:
            content = pack.content(channel, reader.language)
            found.append(Problem(field_name(content), error.message))
    return found


def send_test(campaign_id: UUID, coordinator: Coordinator, language: str | None = None) -> list[ChannelName]:
    """Send the campaign, as an example reader gets it, to the coordinator; returns the channels used.

    `language` chooses among those that are written (None: English, else the one there is). Raises Invalid with what
    keeps it from being written.
    """
    used: list[ChannelName] = []
    with db.transaction() as session:
        campaign = get(session, campaign_id)
        pack = writing.load_pack(session, campaign_id)
        name = (coordinator.name.split() or [""])[0]
        home = example(language or _language(campaign))
        reader = replace(home, first_name=name, time_zone=coordinator.time_zone)
        targets: Sequence[tuple[ChannelName, str | None]] = (
            (ChannelName.SMS, coordinator.phone),
            (ChannelName.EMAIL, coordinator.email),
        )
        for channel, to in targets:
            if channel not in campaign.channel_names or not to:
                continue
            if not any(c.channel == channel for c in campaign.contents):
                continue
            rendered = rendered_for(pack, reader, channel, clock.now())
            body = rendered.text if channel == ChannelName.SMS else _body_for_test(pack, reader)
            outbox.write_to(session, channel, to, body, subject=rendered.subject, purpose=Purpose.TEST)
            used.append(channel)
        audit.record(session, str(coordinator.id), "campaign.test", campaign)
    if not used:
        raise Invalid("There is nothing to send yet, or you have no phone number or email here for these channels.")
    return used


def _body_for_test(pack: writing.Pack, reader: writing.Reader) -> str:
    """The Markdown of the email with the fields filled in; the layout is added when it leaves."""
    source = pack.content(ChannelName.EMAIL, reader.language).body
    return render.render_text(source, writing.context(pack, reader, ChannelName.EMAIL, writing.fields_of(source)))


def _language(campaign: Campaign) -> str:
    written = sorted({c.language for c in campaign.contents}, key=lambda language: (language != "en", language))
    return written[0] if written else "en"


def estimate(session: Session, campaign: Campaign, by_channel: Mapping[ChannelName, int]) -> Decimal:
    """About what the texts of a campaign will cost, in US dollars, from a sample of its audience.

    `by_channel` are the copies on each channel, as `reach` counts them.
    """
    count = by_channel.get(ChannelName.SMS, 0)
    if not count or not any(c.channel == ChannelName.SMS for c in campaign.contents):
        return Decimal(0)
    pack = writing.load_pack(session, campaign.id)
    costs: list[Decimal] = []
    for member in recipients(session, audiences.of_campaign(campaign), ChannelName.SMS):
        try:
            rendered = rendered_for(pack, reader_of(member), ChannelName.SMS, introduced(member, ChannelName.SMS))
        except Invalid:
            continue
        costs.append(rendered.cost or Decimal(0))
    return (sum(costs, Decimal(0)) / len(costs) * count) if costs else Decimal(0)


@dataclass(frozen=True)
class Size:
    """How long a text gets for the reader for whom it is longest, with what is added to it."""

    measure: Measure
    plain: str | None
    """The words as typed with plain quotes and dashes, where that alone makes the text cheaper."""
    typed: tuple[str, ...]
    """Those characters outside GSM-7 that were typed here; the others come from the story, a name or a place."""


def sizes(session: Session, campaign: Campaign) -> dict[str, Size]:
    """The size of every text of a campaign, by the name of its field; without those that cannot be written yet."""
    pack = writing.load_pack(session, campaign.id)
    members = recipients(session, audiences.of_campaign(campaign), ChannelName.SMS)
    found: dict[str, Size] = {}
    for content in campaign.contents:
        if content.channel != ChannelName.SMS:
            continue
        readers = [
            (reader_of(m), introduced(m, ChannelName.SMS))
            for m in members
            if pack.content(ChannelName.SMS, m.language).id == content.id
        ]
        measured = []
        for reader, at in readers or [(example(content.language), clock.now())]:
            try:
                rendered = rendered_for(pack, reader, ChannelName.SMS, at)
            except Invalid:
                continue
            if rendered.measure:
                measured.append(rendered.measure)
        if measured:
            longest = max(measured, key=lambda m: (m.segments, m.units))
            odd = tuple(c for c in longest.offenders if c in content.body)
            found[field_name(content)] = Size(longest, suggest(content.body), odd)
    return found


def recipients(
    session: Session, audience: audiences.Audience, channel: ChannelName, *sort: ColumnElement[bool], limit: int = 25
) -> list[Member]:
    """A few members who would get it on this channel; `sort` are further clauses on Member."""
    ids = [row[0] for row in session.execute(audiences.recipients(audience, channel).where(*sort).limit(limit))]
    found = select(Member).where(Member.id.in_(ids)).options(selectinload(Member.addresses)).order_by(Member.id)
    return list(session.scalars(found))
