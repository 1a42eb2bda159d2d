"""What may hurt or weigh on whoever reads a message: demands, guilt, promises, words that judge, long sentences.

Marks for a person's eye, as data in `kind_words.toml`; our own texts are held to them by the tests. Nothing is
forbidden: a coordinator may know better.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE = re.compile(r"[.!?:;…]+(?:\s|$)|\n+")
_FIELD = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_LINK = re.compile(r"\]\([^)]*\)|https?://\S+")
LONG = 6
"""A word of more letters than this counts as long (LIX)."""


@dataclass(frozen=True)
class Advice:
    """Words that may hurt, why, and what could stand there instead."""

    kind: str
    words: str
    why: str
    instead: str

    def __str__(self) -> str:
        return f"“{self.words}” {self.why}. {self.instead}" if self.words else f"{self.why} {self.instead}"


@dataclass(frozen=True)
class _Rule:
    kind: str
    why: str
    instead: str
    patterns: dict[str, re.Pattern[str]]


@lru_cache(maxsize=1)
def _data() -> tuple[tuple[_Rule, ...], dict[str, int]]:
    data: dict[str, Any] = tomllib.loads((Path(__file__).parent / "kind_words.toml").read_text(encoding="utf-8"))
    rules = tuple(
        _Rule(
            each["kind"],
            each["why"],
            each["instead"],
            {language: re.compile("|".join(each[language]), re.IGNORECASE) for language in ("en", "es")},
        )
        for each in data["advice"]
    )
    return rules, data["reading"]


def advice(text: str, language: str) -> list[Advice]:
    """Everything worth a second look in a text of that language (another one is read as English), in its order."""
    plain = _FIELD.sub(" x ", text).replace("’", "'")
    language = language if language in ("en", "es") else "en"
    rules, reading = _data()
    found = [
        (match.start(), Advice(rule.kind, match[0], rule.why, rule.instead))
        for rule in rules
        for match in rule.patterns[language].finditer(plain)
    ]
    marks = [each for _, each in sorted(found, key=lambda pair: pair[0])]
    index = lix(plain)
    if index is not None and index > reading[language]:
        why = "This reads like an official letter: long sentences, or many long words."
        marks.append(Advice("reading", "", why, "Say it in shorter ones; some read it on a hard day."))
    return marks


def lix(text: str) -> float | None:
    """How hard it is to read by LIX (Björnsson): words per sentence, percent of long words; None for a few words."""
    plain = _LINK.sub(" ", _FIELD.sub(" x ", text))
    words = _WORD.findall(plain)
    if len(words) < _data()[1]["words"]:
        return None
    sentences = sum(1 for part in _SENTENCE.split(plain) if _WORD.search(part)) or 1
    long_ = sum(1 for word in words if len(word) > LONG)
    return len(words) / sentences + 100 * long_ / len(words)
