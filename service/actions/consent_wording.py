"""The exact words that people agree to when they join, by country and language, in versions that stay.

A version is a folder of `templates/consent/`. To change the words, copy the newest folder, edit the copy and name it
here; a form that was opened before still finds the words that it showed.
"""

import re
from dataclasses import dataclass

from service import config
from service.actions import outbox
from service.errors import Invalid
from service.models.members import ChannelName

VERSION = "2026-11"
ANYWHERE = "any"
_KEY = re.compile(r"\d{4}-\d{2}/(sms|email)\.([A-Z]{2}|any)\.(en|es)")


@dataclass(frozen=True)
class Wording:
    """What somebody is shown beside the box that they tick."""

    key: str
    """`2026-11/sms.US.en`: kept as the evidence of a consent."""
    channel: ChannelName
    text: str


def wording(channel: ChannelName, country: str, language: str) -> Wording:
    """The words for a channel in a country (ISO) and language; where a country has none of its own, those for any."""
    language = "es" if language.startswith("es") else "en"
    keys = [f"{VERSION}/{channel}.{place}.{language}" for place in (country.upper(), ANYWHERE)]
    return by_key(next(key for key in keys if _exists(key)))


def by_key(key: str) -> Wording:
    """The words that a page showed, by the name that it sends back. Raises Invalid for a name that never was."""
    found = _KEY.fullmatch(key)
    if found is None or not _exists(key):
        raise Invalid("This page is out of date. Reload it and try again.", field="agree")
    settings = config.current()
    context = {"org_name": settings.org_name, "per_week": settings.weekly_cap}
    text = outbox.environment().get_template(f"consent/{key}.txt").render(context)
    return Wording(key, ChannelName(found.group(1)), text.strip())


def _exists(key: str) -> bool:
    return (config.TEMPLATES / "consent" / f"{key}.txt").is_file()
