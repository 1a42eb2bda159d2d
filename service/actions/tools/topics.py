"""What a member means by the word behind TOOL: a topic of our cards by any of its names, in two languages, with typos.

What nobody has a card for is not guessed at: the nearest topics are offered.
"""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from pathlib import Path

from service.models.content import Tool

_NAMES = Path(__file__).with_name("topics.toml")
SURE, NEAR = 0.8, 0.5
"""How alike two words are (difflib's ratio) to be the same one misspelt, and to be worth an offer."""
SHORTEST = 4
"""Letters below which nothing is taken for a typo: four may differ in one and mean something else."""
OFFERED = 3
MENU = 6


@dataclass(frozen=True)
class Match:
    """The topic that was meant, or None with the nearest that there are."""

    topic: str | None
    near: Sequence[str] = ()


@lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, list[str] | str]]:
    return tomllib.loads(_NAMES.read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def folded(words: str) -> str:
    """Small letters without accents or signs, single blanks between: `¿Dormir?` → `dormir`."""
    plain = unicodedata.normalize("NFKD", words.casefold())
    kept = "".join(c for c in plain if not unicodedata.combining(c)).replace("'", "").replace("\u2019", "")
    return " ".join(re.sub(r"[^a-z0-9]+", " ", kept).split())


def topics_of(tool: Tool) -> list[str]:
    """The topics on a card."""
    return [topic for topic in tool.topics.split(",") if topic]


def name_of(topic: str, language: str) -> str:
    """What a topic is called to a member."""
    about = _known().get(topic, {})
    return str(about.get(language) or about.get("en") or topic.replace("-", " "))


def key_of(name: str) -> str:
    """The topic that goes by this name in either language; the name itself in small letters where none does."""
    said = folded(name)
    for topic, about in _known().items():
        if said in {folded(topic), folded(str(about.get("en", ""))), folded(str(about.get("es", "")))}:
            return topic
    return name.strip().lower()


def menu(cards: Iterable[Tool], *, most: int = MENU) -> list[str]:
    """The topics that most cards have, at most `most`; one card's topics do not fill the menu alone."""
    cards = list(cards)
    counts = Counter(topic for card in cards for topic in topics_of(card))
    first = list(dict.fromkeys(max(topics_of(card), key=counts.__getitem__) for card in cards if topics_of(card)))
    rest = [topic for topic, _ in counts.most_common() if topic not in first]
    return (sorted(first, key=lambda topic: -counts[topic]) + rest)[:most]


def match(asked: str, cards: Iterable[Tool]) -> Match:
    """Which topic of these cards `asked` means."""
    cards = list(cards)
    names = _names(cards)
    said = folded(asked)
    if not said:
        return Match(None, menu(cards))
    if said in names:
        return Match(names[said])
    words = said.split()
    meant = [names[word] for word in words if word in names]
    if len(set(meant)) == 1:
        return Match(meant[0])
    for word in [said, *words]:
        close = get_close_matches(word, names, n=1, cutoff=SURE) if len(word) >= SHORTEST else []
        if close:
            return Match(names[close[0]])
    return Match(None, _nearest(said, names, cards))


def _names(cards: Sequence[Tool]) -> dict[str, str]:
    """Every name of the topics of these cards → the topic. The topic's own names win over another's synonyms."""
    there = {topic for card in cards for topic in topics_of(card)}
    found: dict[str, str] = {}
    for topic in sorted(there):
        about = _known().get(topic, {})
        for word in about.get("words", []):
            found.setdefault(folded(word), topic)
    for topic in sorted(there):
        about = _known().get(topic, {})
        for name in (topic, str(about.get("en", "")), str(about.get("es", ""))):
            if folded(name):
                found[folded(name)] = topic
    return found


def _nearest(said: str, names: dict[str, str], cards: Sequence[Tool]) -> list[str]:
    """Topics whose names look most like it, filled up with those of most cards."""
    alike = sorted(((SequenceMatcher(None, said, name).ratio(), topic) for name, topic in names.items()), reverse=True)
    near = [topic for ratio, topic in alike if ratio >= NEAR]
    return list(dict.fromkeys([*near, *menu(cards)]))[:OFFERED]
