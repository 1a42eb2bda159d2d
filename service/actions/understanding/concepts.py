"""Says what the words of a text are about, by the lists of `data/concepts.toml`: "pastillas" and "tablets" are PILLS.

What is learned about one word of a concept then holds for the others, in both languages.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from zlib import crc32

from service.actions.understanding.lexicon import forms, lexicon

LONGEST_PHRASE = 5


@dataclass(frozen=True, slots=True)
class _Table:
    """Hashes of words, phrases and beginnings in order, and the concept of each. Seventeen thousand forms as strings
    in a dict would take megabytes."""

    names: tuple[str, ...]
    keys: "array[int]"
    concepts: bytes
    beginnings: tuple[int, ...]
    """Lengths that beginnings have."""
    openers: frozenset[str]
    """Words with which a phrase begins: only there are phrases looked for."""


@cache
def _table() -> _Table:
    listed: dict[str, str] = lexicon().spelling["concepts"]
    pairs: set[tuple[int, int]] = set()
    entries = [(number, entry) for number, row in enumerate(listed.values()) for entry in row.split()]
    for number, entry in entries:
        for form in forms(entry):
            pairs.add((crc32(form.replace("_", " ").encode()), number))
    ordered = sorted(pairs)
    return _Table(
        tuple(listed),
        array("I", [key for key, _ in ordered]),
        bytes(number for _, number in ordered),
        tuple(sorted({len(entry) - 1 for _, entry in entries if entry.endswith("*")})),
        frozenset(entry.split("_")[0] for _, entry in entries if "_" in entry),
    )


def _find(text: str) -> list[str]:
    table = _table()
    key = crc32(text.encode())
    at = bisect_left(table.keys, key)
    found = []
    while at < len(table.keys) and table.keys[at] == key:
        found.append(table.names[table.concepts[at]])
        at += 1
    return found


@lru_cache(maxsize=4096)
def _of_word(word: str) -> tuple[str, ...]:
    found = _find(word)
    for length in _table().beginnings:
        if length <= len(word):
            found += _find(word[:length] + "*")
    return tuple(found)


def concepts_of(words: Sequence[str]) -> list[list[str]]:
    """The concepts that begin at each word, those of the longest phrase first, each once."""
    openers = _table().openers
    found: list[list[str]] = []
    for at, word in enumerate(words):
        here: list[str] = []
        if word in openers:
            for length in range(min(LONGEST_PHRASE, len(words) - at), 1, -1):
                here += _find(" ".join(words[at : at + length]))
        here += _of_word(word)
        found.append(list(dict.fromkeys(here)))
    return found
