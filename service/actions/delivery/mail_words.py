"""A campaign's emails in words: compiled once for all readers, within our one layout, with the ways out."""

import re
from typing import Any

from service import config, links
from service.actions.delivery.writing import Pack, Reader, context
from service.actions.giving import week
from service.actions.outbox import NEUTRAL
from service.channels import email
from service.models.members import ChannelName

WAYS_OUT = frozenset(["preferences_url", "unsubscribe_url"])
"""Every email says how to choose and how to leave."""


OF_THE_READER = frozenset(["first_name", "session_day", "session_time", "prompt_body"])
"""Fields that differ between readers: by name, by clock, by language."""


def layout(language: str, *, discreet: bool, why: str = "") -> dict[str, Any]:
    """The brand values of our one email layout."""
    settings = config.current()
    return {
        "org_name": settings.org_name,
        "org_postal_address": settings.org_postal_address,
        "help_contact": settings.org_help_contact,
        "discreet": discreet,
        "language": language,
        "why": why,
    }


def compiled(pack: Pack, language: str, discreet: bool) -> email.CompiledEmail:
    """A campaign's email of one language, compiled once: what members share is made once for all of them."""
    content = pack.content(ChannelName.EMAIL, language)
    key = (content.id, discreet)
    if key not in pack.compiled:
        subject = NEUTRAL.get(language, NEUTRAL["en"])["subject"] if discreet else content.subject
        pack.compiled[key] = email.compile_email(
            subject or pack.campaign.name,
            _with_long_parts(pack, content.body, content.language),
            layout=layout(language, discreet=discreet),
            constants=_shared_values(pack),
        )
    return pack.compiled[key]


def _with_long_parts(pack: Pack, body: str, language: str) -> str:
    """The story's or tool's own Markdown in place of its field, and what a week tells: reviewed words keep their
    paragraphs and emphasis.
    """
    parts = {
        "story_body": (pack.story.body_email or None) if pack.story else None,
        "tool_body": (pack.tool.body_email or None) if pack.tool else None,
        week.FIELD: pack.growth.get((ChannelName.EMAIL, language), "") if pack.growth else None,
        "gift_words": (pack.gift.body or None) if pack.gift else None,
    }
    for name, markdown in parts.items():
        if markdown is not None:
            words = literal(markdown).replace("\\", r"\\")  # a backslash means something in a replacement
            body = re.sub(r"\{\{\s*" + name + r"(?:\s+or\s+\"\")?\s*\}\}", words, body)
    return body


def literal(text: str) -> str:
    """Words that were written already: braces in them are not template code."""
    return "{% raw %}" + text.replace("{% endraw %}", "") + "{% endraw %}"


def _shared_values(pack: Pack) -> dict[str, str | None]:
    """Fields that are the same for every reader of an email."""
    everybody = Reader(None, "", "en", "UTC", "")
    shared = context(pack, everybody, ChannelName.EMAIL, ())
    return {name: value for name, value in shared.items() if name not in OF_THE_READER}


def from_name(language: str, discreet: bool) -> str:
    """Who an email is from, by name."""
    return NEUTRAL.get(language, NEUTRAL["en"])["sender"] if discreet else config.current().org_name


def unsubscribe_headers(url: str) -> dict[str, str]:
    """One-click unsubscribe (RFC 8058)."""
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def reply_address(delivery_id: int) -> str | None:
    """Where an answer to an email goes, so that we know what it answers; None when no domain is set up."""
    domain = config.current().sendgrid_inbound_domain
    return f"reply+{links.reply_token('d', str(delivery_id))}@{domain}" if domain else None
