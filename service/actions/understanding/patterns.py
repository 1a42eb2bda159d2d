"""A small pattern language over words, so that rules are data that a person who is not a programmer can read.

A pattern is words between spaces. `{name}` is a class of words or phrases, `a|b` either word, `(a b|c)` either phrase,
`x?` may be missing, `..` up to three words, `...` up to seven, `pre*` any word that begins so, `<` and `>` the start
and end of the text, `^` and `$` those of a sentence. Sentences end at `.` and `?`, which are words of their own
(QUESTION in a pattern); a comma may stand anywhere. Outside brackets `|` separates words, inside them phrases. Each
pattern is looked at only if a word that it needs is in the text, so that hundreds of rules cost little.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

COMMA = "(?:, )*"
FEW = 60
"""A second look at words before a rule is tried is kept to so many: it costs memory in every worker."""
RARE, RARE_BEGINNING = 3, 20
"""In how many of ten thousand texts a word is taken to be that is not among the common ones, and a beginning."""
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


class PatternError(ValueError):
    """A pattern or class that cannot be read; the message names it."""


class Compiler:
    """Turns patterns into regular expressions with the classes of one lexicon."""

    def __init__(self, classes: Mapping[str, Sequence[str]], common: Mapping[str, int] | None = None) -> None:
        """`common` says in how many of ten thousand texts a word is: of all words that a pattern needs it is looked up
        by the rarest."""
        self._classes = classes
        self._common = common or {}
        self._done: dict[str, Piece] = {}
        self._met: dict[frozenset[str], int] = {}

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
                branches.append(self._all(sequence))
                sequence, at = [], at + 1
            else:
                piece, at = self._atom(tokens, at, pattern)
                sequence.append(piece)
        if at == len(tokens):
            raise PatternError(f"unbalanced bracket in pattern: {pattern}")
        if not sequence:
            raise PatternError(f"empty choice in pattern: {pattern}")
        return _any([*branches, self._all(sequence)]), at + 1

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
        return self._all(sequence)

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

    def _all(self, pieces: list[Piece]) -> Piece:
        needed = [piece.needs for piece in pieces if piece.needs is not None]
        if len(needed) > 1:
            needed.sort(key=self._how_often)
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

    def _how_often(self, needs: frozenset[str]) -> int:
        """In how many of ten thousand texts one of the words stands, at most."""
        found = self._met.get(needs)
        if found is None:
            found = self._met[needs] = sum(
                self._common.get(word, RARE_BEGINNING if word.endswith("*") else RARE) for word in needs
            )
        return found


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
