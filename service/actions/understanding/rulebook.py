"""Looks rules up by the words of a text, so that hundreds of rules cost little: a rule is tried only if a word that it
needs is there.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from service.actions.understanding.patterns import Rule

MET = 4_000
"""So many words are remembered with the rules that they call for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that fits, and where in the words it does."""

    rule: Rule
    start: int
    end: int


class _Index:
    """The rules of several books, numbered on from one book to the next, by the words that they need. A text is looked
    up once for all of them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._also = [rule.also for rule in rules]
        self._by_word: dict[str, list[int]] = {}
        self._by_beginning: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            for word in rule.needs:
                table = self._by_beginning if word.endswith("*") else self._by_word
                table.setdefault(word.rstrip("*"), []).append(number)
        self._met: dict[str, tuple[int, ...]] = {}
        self._lengths = sorted({len(beginning) for beginning in self._by_beginning})
        self.rules_for = lru_cache(maxsize=8)(self._rules_for)

    def _rules_for(self, words: str) -> list[int]:
        """The numbers of all rules that may fit a text, in their order."""
        said, found = set(words.split()), set[int]()
        for word in said:
            numbers = self._met.get(word)
            found.update(self._rules_of(word) if numbers is None else numbers)
        also = self._also
        return sorted(number for number in found if not also[number] or not also[number].isdisjoint(said))

    def _rules_of(self, word: str) -> tuple[int, ...]:
        """The rules that a word calls for; kept for the few thousand words that come again and again."""
        found = [*self._by_word.get(word, ())]
        for length in self._lengths:
            found += self._by_beginning.get(word[:length], ())
        if len(self._met) >= MET:
            self._met.clear()
        numbers = self._met[word] = tuple(found)
        return numbers


class RuleBook:
    """A set of rules that can be looked up by the words of a text."""

    def __init__(self, rules: Iterable[Rule], index: _Index | None = None, start: int = 0) -> None:
        """`start` is the number of its first rule in `index`; without one it has its own."""
        rules = list(rules)
        # What a rule needs goes into the index; kept at each rule as well it would fill every worker's memory.
        self.rules = [replace(rule, needs=frozenset(), words=frozenset(), also=frozenset()) for rule in rules]
        self._index = index or _Index(rules)
        self._start, self._end = start, start + len(rules)
        self._compiled: dict[
            int, re.Pattern[str]
        ] = {}  # filled as rules are met: most never are, and each takes memory

    def hits(self, words: str) -> Iterator[Hit]:
        """Every place where a rule fits, rules in their written order. `words` is a text made by `normalise`."""
        numbers = self._index.rules_for(words)
        at = bisect_left(numbers, self._start)
        while at < len(numbers) and numbers[at] < self._end:
            yield from self._hits_of(numbers[at] - self._start, words)
            at += 1

    def _hits_of(self, number: int, words: str) -> Iterator[Hit]:
        pattern = self._compiled.get(number)
        if pattern is None:
            pattern = self._compiled[number] = re.compile(self.rules[number].regex)
        at = 0
        while match := pattern.search(words, at):
            yield Hit(self.rules[number], match.start() + 1, match.end())
            at = match.end() - 1  # the space behind one hit is the space before the next

    def first(self, words: str) -> Hit | None:
        """The first hit in the order of the rules, if there is one."""
        return next(self.hits(words), None)


def make_books(rules: Mapping[str, Sequence[Rule]]) -> dict[str, RuleBook]:
    """Books by name, which share one look at the words of a text."""
    index = _Index([rule for book in rules.values() for rule in book])
    books: dict[str, RuleBook] = {}
    start = 0
    for name, book in rules.items():
        books[name] = RuleBook(book, index, start)
        start += len(book)
    return books
