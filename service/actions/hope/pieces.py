"""A story's exact words in texts to its author: whole, cut between sentences, numbered where there are several."""

import re

from service.models.content import Story
from service.models.members import Member

LONGEST = 1400
"""Characters of one text: below what the provider takes, with room for the words before it."""
MOST = 3
"""With more texts than this the page is kinder, where a link may be texted."""
_LABELS = {"en": ("As a text", "As an email"), "es": ("Como mensaje", "Como correo")}
_SEE = {"en": "As an email it is longer: {link}", "es": "Como correo es un texto largo: {link}"}


def by_text(story: Story, author: Member, *, alone: bool, link: str) -> list[str]:
    """The texts that carry the story; `alone`: there is no mail, so the mail's words are among them, or their page."""
    language = "es" if author.language == "es" else "en"
    as_text, as_mail = _LABELS[language]
    found = [f"{as_text}:\n{story.body_sms}"]
    if not alone:
        return found
    parts = split(f"{story.title}\n\n{story.body_email}")
    if len(parts) > MOST and link:
        return [*found, _SEE[language].format(link=link)]
    count = len(parts)
    return found + [
        f"{as_mail}{f' ({n}/{count})' if count > 1 else ''}:\n{part}" for n, part in enumerate(parts, start=1)
    ]


def split(words: str, longest: int = LONGEST) -> list[str]:
    """Cut after a paragraph, else after a sentence, else after a word; every word is in exactly one part."""
    parts: list[str] = []
    rest = words.strip()
    while len(rest) > longest:
        at = _cut(rest[: longest + 1])
        parts.append(rest[:at].strip())
        rest = rest[at:].strip()
    return [*parts, rest] if rest else parts


def _cut(words: str) -> int:
    half = len(words) // 2
    for between in (r"\n\s*\n", r"(?<=[.!?…])\s", r"\s"):
        ends = [m.end() for m in re.finditer(between, words)]
        if ends and ends[-1] > half:
            return ends[-1]
    return len(words) - 1
