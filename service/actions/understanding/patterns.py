"""A small pattern language over words, so that rules are data that a person who is not a programmer can read.

A pattern is words between spaces. `{name}` is a class of words or phrases, `a|b` either word, `(a b|c)` either phrase,
`x?` may be missing, `..` up to three words, `...` up to seven, `pre*` any word that begins so, `<` and `>` the start
and end of the text, `^` and `$` those of a sentence. Sentences end at `.` and `?`, which are words of their own
(QUESTION in a pattern); a comma may stand anywhere. Outside brackets `|` separates words, inside them phrases. Each
pattern is looked at only if a word that it needs is in the text, so that hundreds of rules cost little.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

COMMA = "(?:, )*"
MET = 2_000
"""So many words are remembered with the rules that they call for."""
FEW = 60
"""A second look at words before a rule is tried is kept to so many: it costs memory in every worker."""
GAPS = {"..": r"(?:[^ .?]+ ){0,3}?", "...": r"(?:[^ .?]+ ){0,7}?"}
EDGES = {
    "<": r"(?<![^ ])(?<!. )(?:[.,?] )*",
    ">": r"(?:[.,] )*\Z",
    "^": r"(?:(?<=[.?,] )|(?<!. ))",
    "$": r"(?=[.?,]|\Z)",
}
_TOKEN = re.compile(r"\.{2,3}|[()|?<>^$]|\{\w+\}|[^\s()|?{}<>^$]+|\s+")

Anchors = frozenset[str] | None
"""The words of which a text needs at least one for the pattern to fit; None when that cannot be said."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A compiled part of a pattern: its regular expression, what it needs, and all the plain words in it."""

    regex: str
    needs: Anchors
    words: frozenset[str]
    also: frozenset[str] = frozenset()
    """More words of which a text needs one; empty when that cannot be said, or would be many."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One named rule. `marks` are free words that say how the rule is treated (for example `firm`)."""

    name: str
    label: str
    regex: str
    needs: frozenset[str]
    words: frozenset[str]
    marks: frozenset[str] = field(default_factory=frozenset)
    also: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that fits, and where in the words it does."""

    rule: Rule
    start: int
    end: int


class PatternError(ValueError):
    """A pattern or class that cannot be read; the message names it."""


class Compiler:
    """Turns patterns into regular expressions with the classes of one lexicon."""

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        self._classes = classes
        self._done: dict[str, Piece] = {}

    def compile(self, pattern: str) -> Piece:
        """Raises PatternError for an unknown class, an unbalanced bracket or a stray sign."""
        return self._words([token for token in _TOKEN.findall(pattern) if not token.isspace()], pattern)

    def named(self, name: str) -> Piece:
        """The class of that name, each of its entries being a pattern itself."""
        if name not in self._done:
            if name not in self._classes:
                raise PatternError(f"unknown class: {{{name}}}")
            self._done[name] = _any([self.compile(entry) for entry in self._classes[name]])
        return self._done[name]

    def _either(self, tokens: list[str], at: int, pattern: str) -> tuple[Piece, int]:
        """The inside of a bracket, where `|` separates phrases."""
        branches: list[Piece] = []
        sequence: list[Piece] = []
        while at < len(tokens) and tokens[at] != ")":
            if tokens[at] == "|":
                if not sequence:
                    raise PatternError(f"empty choice in pattern: {pattern}")
                branches.append(_all(sequence))
                sequence, at = [], at + 1
            else:
                piece, at = self._atom(tokens, at, pattern)
                sequence.append(piece)
        if at == len(tokens):
            raise PatternError(f"unbalanced bracket in pattern: {pattern}")
        if not sequence:
            raise PatternError(f"empty choice in pattern: {pattern}")
        return _any([*branches, _all(sequence)]), at + 1

    def _words(self, tokens: list[str], pattern: str) -> Piece:
        """Outside brackets, where `|` separates single words."""
        sequence: list[Piece] = []
        at = 0
        while at < len(tokens):
            piece, at = self._atom(tokens, at, pattern)
            choice = [piece]
            while at < len(tokens) and tokens[at] == "|":
                piece, at = self._atom(tokens, at + 1, pattern)
                choice.append(piece)
            sequence.append(_any(choice))
        return _all(sequence)

    def _atom(self, tokens: list[str], at: int, pattern: str) -> tuple[Piece, int]:
        if at >= len(tokens) or tokens[at] in ")|?":
            raise PatternError(f"stray sign in pattern: {pattern}")
        if tokens[at] == "(":
            piece, at = self._either(tokens, at + 1, pattern)
        else:
            piece, at = self._single(tokens[at]), at + 1
        if at < len(tokens) and tokens[at] == "?":
            return Piece(f"(?:{piece.regex})?", None, piece.words), at + 1
        return piece, at

    def _single(self, sign: str) -> Piece:
        if sign in GAPS:
            return Piece(GAPS[sign], None, frozenset())
        if sign in EDGES:
            return Piece(EDGES[sign], None, frozenset())
        if sign.startswith("{"):
            return self.named(sign[1:-1])
        if sign.endswith("*"):
            return Piece(
                re.escape(sign[:-1]) + r"[^ .?,]* " + COMMA,
                frozenset([sign]),
                frozenset(),
            )
        word = "?" if sign == "QUESTION" else sign
        return Piece(
            re.escape(word).replace(r"\ ", " ") + " " + COMMA,
            frozenset([word]),
            frozenset([word]),
        )


def _all(pieces: list[Piece]) -> Piece:
    needed = sorted((piece.needs for piece in pieces if piece.needs is not None), key=len)
    also = needed[1] if len(needed) > 1 and len(needed[1]) <= FEW else frozenset[str]()
    if any(word.endswith("*") for word in also):
        also = frozenset()
    words = frozenset[str]().union(*(piece.words for piece in pieces))
    return Piece(
        _folded([piece.regex for piece in pieces]),
        needed[0] if needed else None,
        words,
        also,
    )


def _folded(parts: list[str]) -> str:
    """The parts in a row. Two like ones that may each be missing are written once: the class of little words, which
    stands twice nearly everywhere, would otherwise fill the memory of every worker."""
    folded: list[str] = []
    for part in parts:
        if folded and folded[-1] == part and _may_be_missing(part):
            folded[-1] = part[:-1] + "{0,2}"
        else:
            folded.append(part)
    return "".join(folded)


def _may_be_missing(regex: str) -> bool:
    """Whether it is one group with a question mark, and not several in a row."""
    if not (regex.startswith("(?:") and regex.endswith(")?")):
        return False
    depth = 0
    for at, sign in enumerate(regex[:-2]):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and at:
            return False
    return depth == 1


def _any(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    needs: Anchors = frozenset()
    for piece in pieces:
        needs = None if needs is None or piece.needs is None else needs | piece.needs
    words = frozenset[str]().union(*(piece.words for piece in pieces))
    # Longer phrases first: "end it all" must win over "end it" where both are entries.
    ordered = sorted({piece.regex for piece in pieces}, key=len, reverse=True)
    end = " " + COMMA
    if all(regex.endswith(end) for regex in ordered):
        # What all end with is written once: the rules take a third less memory so.
        return Piece(f"(?:{'|'.join(regex[: -len(end)] for regex in ordered)}){end}", needs, words)
    return Piece(f"(?:{'|'.join(ordered)})", needs, words)


class RuleBook:
    """A set of rules that can be looked up by the words of a text."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        # What a rule needs goes into the tables below; kept at each rule as well it would fill every worker's memory.
        self.rules = [replace(rule, needs=frozenset(), words=frozenset()) for rule in rules]
        self._also = [rule.also for rule in rules]
        self._compiled: dict[
            int, re.Pattern[str]
        ] = {}  # filled as rules are met: most never are, and each takes memory
        self._by_word: dict[str, list[int]] = {}
        self._by_beginning: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            for word in rule.needs:
                table = self._by_beginning if word.endswith("*") else self._by_word
                table.setdefault(word.rstrip("*"), []).append(number)
        self._met: dict[str, tuple[int, ...]] = {}
        self._lengths = sorted({len(beginning) for beginning in self._by_beginning})

    def hits(self, words: str) -> Iterator[Hit]:
        """Every place where a rule fits, rules in their written order. `words` is a text made by `normalise`."""
        said, found = set(words.split()), set[int]()
        for word in said:
            numbers = self._met.get(word)
            found.update(self._rules_of(word) if numbers is None else numbers)
        for number in sorted(found):
            if (also := self._also[number]) and also.isdisjoint(said):
                continue
            if number not in self._compiled:
                self._compiled[number] = re.compile(self.rules[number].regex)
            search, at = self._compiled[number].search, 0
            while match := search(words, at):
                yield Hit(self.rules[number], match.start() + 1, match.end())
                at = match.end() - 1  # the space behind one hit is the space before the next

    def _rules_of(self, word: str) -> tuple[int, ...]:
        """The rules that a word calls for; kept for the few thousand words that come again and again."""
        found = [*self._by_word.get(word, ())]
        for length in self._lengths:
            found += self._by_beginning.get(word[:length], ())
        if len(self._met) >= MET:
            self._met.clear()
        numbers = self._met[word] = tuple(found)
        return numbers

    def first(self, words: str) -> Hit | None:
        """The first hit in the order of the rules, if there is one."""
        return next(self.hits(words), None)


def make_rules(
    compiler: Compiler,
    name: str,
    label: str,
    patterns: Sequence[str],
    marks: Iterable[str] = (),
) -> list[Rule]:
    """One rule a pattern, so that each is looked at only when its own words are there. Raises PatternError if a pattern
    needs no word at all (it would be tried on every text)."""
    rules = []
    for pattern in patterns:
        piece = compiler.compile(pattern)
        if not piece.needs:
            raise PatternError(f"a pattern needs no word: {pattern}")
        rules.append(
            Rule(
                name,
                label,
                " " + piece.regex,  # a space to look for, not behind: it is found many times as fast
                piece.needs,
                piece.words,
                frozenset(marks),
                piece.also,
            )
        )
    return rules
