"""What a reviewer should look at in a story before anybody else reads it: marks for a person's eye, never a verdict.

The rules are those of the facts on safety ("Stories"), as data in `story_checks.toml`.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import phonenumbers

from service import config

KINDS = {
    "method": "Method",
    "place": "Place",
    "wording": "Wording",
    "amount": "Amount",
    "recent": "Too recent?",
    "minor": "Under 18",
    "personal": "Personal data",
    "name": "A name?",
}
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_URL = re.compile(
    r"\b(?:https?://|www\.)\S+|\b[a-z0-9-]+\.(?:com|org|net|co\.uk|es|mx|io|info)\b(?:/\S*)?", re.IGNORECASE
)
_CAPITAL = re.compile(r"\b[A-ZÁÉÍÓÚÑ][a-záéíóúñ]{2,}\b")


@dataclass(frozen=True, order=True)
class Finding:
    """Words from `start` to `end` of a text that somebody should look at, and why."""

    start: int
    end: int
    kind: str
    why: str

    def words(self, text: str) -> str:
        """The words themselves."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class _Rules:
    checks: tuple[tuple[str, str, re.Pattern[str]], ...]
    self_harm: re.Pattern[str]
    assault: re.Pattern[str]
    allowed: frozenset[str]


@lru_cache(maxsize=1)
def _rules() -> _Rules:
    data: dict[str, Any] = tomllib.loads((Path(__file__).parent / "story_checks.toml").read_text(encoding="utf-8"))
    checks = []
    for check in data["check"]:
        flags = re.NOFLAG if check["kind"] == "personal" else re.IGNORECASE
        checks.append((check["kind"], check["why"], re.compile("|".join(check["patterns"]), flags)))
    topics = {name: re.compile("|".join(patterns), re.IGNORECASE) for name, patterns in data["topics"].items()}
    return _Rules(tuple(checks), topics["self_harm"], topics["assault"], frozenset(data["names"]["allowed"]))


def findings(text: str) -> list[Finding]:
    """Everything to look at in a text, in its order; where two overlap, the longer one stands."""
    found = sorted({*_by_rules(text), *_contacts(text), *_names(text)}, key=lambda f: (f.start, -f.end))
    kept: list[Finding] = []
    for finding in found:
        if not kept or finding.start >= kept[-1].end:
            kept.append(finding)
    return kept


def mentions_self_harm(*texts: str) -> bool:
    """Whether suicide or self-harm is spoken of: then a second person reads it before it is published."""
    return any(_rules().self_harm.search(text) for text in texts)


def forbids_me_too(*texts: str) -> bool:
    """No ME TOO on a story of suicide or assault (rule of conversation 12)."""
    return mentions_self_harm(*texts) or any(_rules().assault.search(text) for text in texts)


def has_link(text: str) -> bool:
    """Whether a text leads elsewhere: a story by text is complete in itself."""
    return _URL.search(text) is not None


def marked(text: str) -> list[tuple[str, Finding | None]]:
    """The text in pieces, each with its finding or None: what a page needs to highlight them."""
    pieces: list[tuple[str, Finding | None]] = []
    at = 0
    for finding in findings(text):
        pieces += [(text[at : finding.start], None), (finding.words(text), finding)]
        at = finding.end
    return [piece for piece in [*pieces, (text[at:], None)] if piece[0]]


def _by_rules(text: str) -> Iterator[Finding]:
    for kind, why, pattern in _rules().checks:
        for match in pattern.finditer(text):
            yield Finding(match.start(), match.end(), kind, why)


def _contacts(text: str) -> Iterator[Finding]:
    for match in phonenumbers.PhoneNumberMatcher(text, config.current().default_country):
        yield Finding(match.start, match.end, "personal", "is a phone number")
    for pattern, why in ((_EMAIL, "is an email address"), (_URL, "is a web address")):
        for found in pattern.finditer(text):
            yield Finding(found.start(), found.end(), "personal", why)


def _names(text: str) -> Iterator[Finding]:
    """Words with a capital inside a sentence: mostly names of people, towns and employers."""
    for match in _CAPITAL.finditer(text):
        before = text[: match.start()].rstrip(" ")
        if not before or before[-1] in '.!?:\n"“”*_-(¿¡…' or match[0].lower() in _rules().allowed:
            continue
        yield Finding(match.start(), match.end(), "name", "may be a name that tells who this is about")
