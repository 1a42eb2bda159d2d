"""Reads the answer to "How are you today, 1–5?". Times, counts, dates and other scales are no scores.

Each number from one to five that is said may be the score; what stands around it tells (`data/weights.tsv`, head
"checkin"): "hoy ando en 3", "4, no wait, 3", "my bus is the 3".
"""

import re
from collections.abc import Iterator

from service.actions.understanding import weights
from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text

SCORE = 0.0
"""The log odds from which a number is taken for the score."""
APART = 0.5
"""By how much the likeliest number has to lead another one that may be the score as well."""
NEAR = 8
"""So many words before and after a number count for it."""

_STARS = re.compile("[⭐🌟★]")
_OF_FIVE = re.compile(
    r"(?<![\d.,:/\-])([1-5])\s*(?:/|out of|of|de|sobre|over|on|from)\s*(?:a\s+)?(?:5|five|cinco)(?![\d.,:/]*\d)"
)
_WORD_OF_FIVE = re.compile(
    r"\b(one|two|three|four|five|uno|dos|tres|cuatro|cinco)\s+(?:out of|of|de|sobre)\s+(?:5|five|cinco)\b"
)
_OTHER_SCALE = re.compile(r"\d\s*(?:/|out of|de|sobre)\s*(?:10|100|ten|diez|4|3|6|7|8|20)\b|\bon a scale\b.*\b10\b")
_AS_LETTERS = re.compile(
    r"\b(?:2|two)\s+(?=(?:tired|much|late|busy|think|be|do|go|sad|many|sick|hot|cold|early|soon|far|say|talk)\b)"
)
"""`2 tired 2 think`."""
_TOKEN = re.compile(r"\d+(?:[.,:/\-–]\d+)+|[\-+$#]?\d+|[a-z]+(?:'[a-z]+)?|[.!?;,:\n()~=\-]+")
_BOUNDARY = re.compile(r"[.!?;,:\n()~=\-]+")


def read_checkin(text: Text) -> tuple[int | None, bool]:
    """The score, if there is exactly one, and whether the text is a bare number that is no score."""
    plain = _AS_LETTERS.sub("to ", text.plain)
    of_five = {_value(match.group(1)) for reading in (_OF_FIVE, _WORD_OF_FIVE) for match in reading.finditer(plain)}
    if len(of_five) == 1:
        return of_five.pop(), False
    tokens = _tokens(plain)
    said = {token for token in tokens if token[-1].isalnum()}
    if len(said) == 1 and (only := _value(next(iter(said)))) is not None:  # "4!", "5 5 5"
        return only, False
    stars = len(_STARS.findall(plain))
    if stars and not said:
        return (stars if stars <= 5 else None), stars > 5
    bare = not any(token.isalpha() and _value(token) is None for token in said)
    numbers = bare and any(token[-1].isdigit() or _value(token) is not None for token in said)
    if of_five or _OTHER_SCALE.search(plain):
        return None, bare
    score = _likeliest(tokens)
    return score, score is None and numbers


def candidates(text: Text) -> Iterator[tuple[int, frozenset[str]]]:
    """Each number of a text that may be the score, and what of its surroundings is weighed."""
    yield from _candidates(_tokens(_AS_LETTERS.sub("to ", text.plain)))


def _tokens(plain: str) -> list[str]:
    """Words, numbers and signs; stretched number words ("fiiive") as they are written."""
    return [re.sub(r"([a-z])\1{2,}", r"\1", token) for token in _TOKEN.findall(plain)]


def _value(token: str) -> int | None:
    word = token.lstrip("#+")
    if len(word) == 1 and word in "12345":
        return int(word)
    return _numbers().get(word) if word.isalpha() else None


def _numbers() -> dict[str, int]:
    found: dict[str, int] = lexicon().spelling["checkin"]["numbers"]
    return found


def _likeliest(tokens: list[str]) -> int | None:
    """The number that is most likely the score; None where none is, or two are."""
    odds: dict[int, float] = {}
    for value, features in _candidates(tokens):
        odds[value] = max(odds.get(value, -99.0), weights.score_of(features, "checkin"))
    if not odds:
        return None
    best = max(odds, key=odds.__getitem__)
    rivals = [one + APART for value, one in odds.items() if value != best and one > SCORE]
    return best if odds[best] >= max([SCORE, *rivals]) else None


def _candidates(tokens: list[str]) -> Iterator[tuple[int, frozenset[str]]]:
    numbers = _numbers()
    if numbers.keys().isdisjoint(tokens) and not any(token[-1] in "12345" for token in tokens):
        return
    values = [_value(token) for token in tokens]
    places = [at for at, value in enumerate(values) if value is not None]
    if not places:
        return
    plain = [_plain(token, value) for token, value in zip(tokens, values, strict=True)]
    units = lexicon().spelling["checkin"]["units"].split()
    for number, at in enumerate(places):
        value = values[at]
        if value is None or (at + 1 < len(tokens) and tokens[at + 1] in units):
            continue
        before, after = places[number - 1] if number else None, places[number + 1 : number + 2]
        found = {f"n {sign}" for sign in _beside(tokens[at], plain, at)}
        found.update(f"n {sign}" for sign in _clause(plain, at))
        found.add(f"n of {min(3, len(places))} {'first' if not number else 'later'} {'more' if after else 'last'}")
        if before is not None:
            found.add("n again" if values[before] == value else "n another before")
            found.update(f"n since {word}" for word in plain[before + 1 : at])
        if after:
            found.update(f"n until {word}" for word in plain[at + 1 : after[0]])
        yield value, frozenset(found)


def _plain(token: str, value: int | None) -> str:
    """A token as it is compared: all scores are one, and all other numbers."""
    if value is not None:
        return "#"
    if _BOUNDARY.fullmatch(token):
        return token[0] if token[0] in ".,?!:" else ","
    return "0" if token[0].isdigit() else token


def _beside(token: str, plain: list[str], at: int) -> Iterator[str]:
    """The three words before a number and the two behind it, by themselves and together."""
    three, two, one = (["^"] * 3 + plain)[at : at + 3]
    then, later = (plain + ["$"] * 2)[at + 1 : at + 3]
    kind = "one" if token in ("one", "uno") else "word" if token.isalpha() else "digit"
    yield from (kind, f"l {one}", f"l2 {two}", f"ll {two} {one}", f"lll {three} {two} {one}", f"l {one} {kind}")
    yield from (f"r {then}", f"r2 {later}", f"rr {then} {later}", f"r {then} {kind}")
    yield from (f"lr {one} {then}", f"llr {two} {one} {then}", f"length {min(12, len(plain)) // 2}")
    if then.endswith("s") and len(then) > 3:
        yield "counts"
    if "0" in plain:
        yield "other numbers"


def _clause(plain: list[str], at: int) -> Iterator[str]:
    """The words around a number, and which of them are in its own clause."""
    start = next((n for n in range(at - 1, -1, -1) if plain[n] in ".,?!:"), -1)
    end = next((n for n in range(at + 1, len(plain)) if plain[n] in ".,?!:"), len(plain))
    yield from (f"cl {word}" for word in plain[start + 1 : at])
    yield from (f"cr {word}" for word in plain[at + 1 : end])
    yield f"end {plain[end] if end < len(plain) else '$'}"
    yield from (f"b {word}" for word in plain[max(0, at - NEAR) : at])
    yield from (f"a {word}" for word in plain[at + 1 : at + 1 + NEAR])
