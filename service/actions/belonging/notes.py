"""Notes that leave by themselves, as campaigns: so consent, breaks, hours, caps, flags and a circle's rest all hold.

The campaign is written in the transaction that remembers why, so each note leaves exactly once.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock, config, db, queue
from service.actions import audit, outbox
from service.models.campaigns import Campaign, CampaignContent, CampaignKind, CampaignState, Schedule
from service.models.gatherings import Circle
from service.models.members import ChannelName, Member, Topic


class Field(str):
    """Words that hold merge fields of ours; in any other value braces are only braces."""

    __slots__ = ()


CIRCLE = Field("{{ circle_name }}")
"""The name of the campaign's circle: of a discreet member, in a text, only "the group"."""
PROMPT = Field("{{ prompt_body }}")
"""The words of the campaign's prompt: what members wrote is kept in one place only, and encrypted there."""
GIFT = Field("{{ gift_words }}")
"""A member's own words, of the campaign's gift: kept encrypted with the gift, and never in a campaign."""
LANGUAGES = ("en", "es")
KEEPS = timedelta(days=2)
"""After this a note is too old to send: half a week late it would be a riddle."""
_NAME, _NAME_FIELD = "\ue000", "{% if first_name %} {{ first_name }}{% endif %}"
"""Stands for the first name while our own template is filled in; the campaign then asks each member's."""
_BRACES = str.maketrans("{}", "()")


def note(
    session: Session,
    template: str,
    name: str,
    member_ids: Collection[UUID],
    context: Mapping[str, Mapping[str, Any]],
    *,
    circle: Circle | None,
    session_id: UUID | None = None,
    prompt_id: UUID | None = None,
    topic: Topic = Topic.CIRCLE,
    begins_at: datetime | None = None,
    expires_at: datetime | None = None,
    gift_id: UUID | None = None,
) -> UUID | None:
    """Queue our own text `template` to these members as soon as each may have it; the campaign's id.

    `context` has what the template needs, by language; a tuple there is a list of paragraphs. None without anybody to
    write to.
    """
    if not member_ids:
        return None
    now = clock.now()
    channels = [c for c in ChannelName if c in config.current().enabled_channels]
    campaign = Campaign(
        id=db.uuid7(),
        name=name[:120],
        kind=CampaignKind.ANNOUNCEMENT,
        topic=topic,
        state=CampaignState.SCHEDULED,
        schedule=Schedule.NOW,
        scheduled_at=begins_at or now,
        expires_at=expires_at or now + KEEPS,
        channels=",".join(channels),
        audience={"languages": [], "member_ids": sorted(str(i) for i in member_ids)},
        circle_id=circle.id if circle else None,
        session_id=session_id,
        prompt_id=prompt_id,
        gift_id=gift_id,
        created_at=now,
        updated_at=now,
    )
    for channel in channels:
        for language in LANGUAGES:
            campaign.contents.append(_content(channel, language, template, context[language]))
    session.add(campaign)
    session.flush()
    audit.record(session, "system", "campaign.note", campaign, template=template)
    queue.ring_after(session, "start_campaigns")
    return campaign.id


def one(
    session: Session, template: str, name: str, member: Member, context: Mapping[str, Any], **more: Any
) -> UUID | None:
    """The same to one member, in words that are only for them."""
    return note(session, template, name, [member.id], dict.fromkeys(LANGUAGES, context), **more)


def _content(channel: ChannelName, language: str, template: str, context: Mapping[str, Any]) -> CampaignContent:
    given = {name: _joined(value, channel) for name, value in context.items()}
    facts = {k: _plain(v) for k, v in outbox.facts("", language, _NAME).items()} | given
    subject, body = outbox.words_for(channel, template, facts)
    return CampaignContent(
        id=db.uuid7(),
        channel=channel,
        language=language,
        subject=_filled(subject),
        body=_filled(body),
    )


def _plain(value: Any) -> Any:
    return value.translate(_BRACES) if isinstance(value, str) and not isinstance(value, Field) else value


def _joined(value: Any, channel: ChannelName) -> Any:
    """Paragraphs (a tuple): one after the other in a text, apart in an email."""
    if not isinstance(value, tuple):
        return _plain(value)
    return (" " if channel == ChannelName.SMS else "\n\n").join(_plain(part) for part in value)


def _filled(words: str) -> str:
    return words.replace(f" {_NAME}", _NAME_FIELD).replace(_NAME, "{{ first_name }}")
