"""Reads the answer to "How are you today, 1–5?". Times, counts, dates and other scales are no scores."""

import re

from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text

_STARS = re.compile("[⭐🌟★]")
_OF_FIVE = re.compile(
    r"(?<![\d.,:/\-])([1-5])\s*(?:/|out of|of|de|sobre|over|on|from)\s*(?:a\s+)?(?:5|five|cinco)(?![\d.,:/]*\d)"
)
_WORD_OF_FIVE = re.compile(
    r"\b(one|two|three|four|five|uno|dos|tres|cuatro|cinco)\s+(?:out of|of|de|sobre)\s+(?:5|five|cinco)\b"
)
_OTHER_SCALE = re.compile(r"\d\s*(?:/|out of|de|sobre)\s*(?:10|100|ten|diez|4|3|6|7|8|20)\b|\bon a scale\b.*\b10\b")
_RANGE = re.compile(
    r"\b(?:between|entre)\s+(?:an?\s+|un\s+)?\w+\s+(?:and|y|&)\s+(?:an?\s+|un\s+)?(?:[1-5]|one|two|three|four|five|uno|dos|tres|cuatro|cinco)\b"
)
_NUMBER = r"(?:[1-5]|one|two|three|four|five|uno|dos|tres|cuatro|cinco)"
_EITHER = re.compile(
    rf"(?<!from )(?<!from a )\b{_NUMBER}\s*(?:or|o|to)\s*(?:(?:maybe|quizas|quiza|a|un|like)\s*)*{_NUMBER}\b"
    rf"|\b{_NUMBER}\s*(?:and a half|y medio|y media|y pico|and a bit)\b|\bhalf an? {_NUMBER}\b|\bmedio {_NUMBER}\b"
)
_MEANING = re.compile(
    rf"\b{_NUMBER}\s+(?:is|means?|es|significa|quiere decir)\s+[^.,]*[?]|\b(?:does|mean|is)\s+{_NUMBER}\b.*[?]"
)
"""Asks what a number stands for."""
_AS_LETTERS = re.compile(
    r"\b(?:2|two)\s+(?=(?:tired|much|late|busy|think|be|do|go|sad|many|sick|hot|cold|early|soon|far|say|talk)\b)"
)
"""`2 tired 2 think`."""
_TOKEN = re.compile(r"\d+(?:[.,:/\-–]\d+)+|[\-+$#]?\d+|[a-z]+(?:'[a-z]+)?|[.!?;,:\n()~=\-]+")
_BOUNDARY = re.compile(r"[.!?;,:\n()~=\-]+")
_ARTICLES = frozenset({"a", "an", "un", "solid", "like", "about", "como"})
_PLAINLY = frozenset({"at", "en", "de", "is", "es"})
"""Where one of these makes a number a score ("estoy en 5"), it is one whatever follows: "estoy en 5, bendito Dios"."""
_FEEL = frozenset({"estoy", "siento", "ando", "amaneci", "desperte", "me"})


def read_checkin(text: Text) -> tuple[int | None, bool]:
    """The score, if there is exactly one, and whether the text is a bare number that is no score."""
    plain = _AS_LETTERS.sub("to ", text.plain.replace("'s", "'s"))
    table = lexicon().spelling["checkin"]
    numbers: dict[str, int] = table["numbers"]
    if _RANGE.search(plain) or _EITHER.search(plain) or _MEANING.search(plain):
        return None, False
    of_five = {match.group(1) for match in _OF_FIVE.finditer(plain)} | {
        m.group(1) for m in _WORD_OF_FIVE.finditer(plain)
    }
    if len(of_five) == 1:
        found = of_five.pop()
        return (int(found) if found.isdigit() else numbers[found]), False
    stars = len(_STARS.findall(text.plain))
    tokens = [_short(token) for token in _TOKEN.findall(plain)]
    if len(set(tokens)) == 1 and (only := _score(tokens[:1], 0, numbers)) is not None:  # "5 5 5"
        return only, False
    bare = not any(token.isalpha() and token not in numbers for token in tokens)
    if stars and not any(any(c.isalnum() for c in token) for token in tokens):
        return (stars if stars <= 5 else None), stars > 5
    if of_five or _OTHER_SCALE.search(plain):
        return None, bare
    scores = [(at, score) for at, token in enumerate(tokens) if (score := _score(tokens, at, numbers)) is not None]
    values = {score for _, score in scores}
    if len(values) > 1:
        values = _today(tokens, scores, table)
    others = any(token[-1].isdigit() and token.lstrip("#+") not in "12345" for token in tokens if token and bare)
    if len(values) == 1 and not others:
        return values.pop(), False
    return None, bare and any(any(c.isdigit() for c in token) or token in numbers for token in tokens)


def _short(token: str) -> str:
    """Stretched number words: fiiive."""
    return re.sub(r"([a-z])\1{2,}", r"\1", token)


def _today(tokens: list[str], scores: list[tuple[int, int]], table: dict[str, str]) -> set[int]:
    """Of several scores the one that is about now: "yesterday 2, today 4", "down to 2 from 4", "almost 5, but 4"."""
    now, past = set(table["now"].split()), set(table["past"].split())
    near = {score for at, score in scores if now & _beside(tokens, at, 4, 1)}
    if len(near) == 1:
        return near
    left = [
        (at, score)
        for at, score in scores
        if not past & _beside(tokens, at, 2, 2) and "from" not in _beside(tokens, at, 2, 0)
    ]
    if len({score for _, score in left}) != 1:
        turns = [at for at, token in enumerate(tokens) if token in ("but", "pero", "actually", "make")]
        left = [(at, score) for at, score in scores if turns and at > turns[-1]]
    return {score for _, score in left} or {score for _, score in scores}


def _beside(tokens: list[str], at: int, before: int, after: int) -> set[str]:
    """The words next to a number, as far as the next number."""
    found: set[str] = set()
    for side in (tokens[max(0, at - before) : at][::-1], tokens[at + 1 : at + 1 + after]):
        for token in side:
            if token[-1].isdigit():
                break
            found.add(token)
    return found


def _score(tokens: list[str], at: int, numbers: dict[str, int]) -> int | None:
    word = tokens[at].lstrip("#+")
    if word in numbers:
        value = numbers[word]
    elif len(word) == 1 and word in "12345":
        value = int(word)
    else:
        return None
    wordy = word.isalpha()
    table = lexicon().spelling["checkin"]
    before = tokens[at - 1] if at else ""
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    starts = not before or bool(_BOUNDARY.fullmatch(before))
    ends = not after or bool(_BOUNDARY.fullmatch(after))
    if not starts and not _left(tokens, at, table):
        return None
    if ends:
        # "7, 3" or "3-4": a number on the other side of the sign is looked at by the caller.
        return value
    if after in table["units"].split() or _is_count(after, table["not_counts"].split()):
        return None
    if after in table["right"].split():
        return value if not wordy or after != "of" else None
    plainly = before in _PLAINLY or (at == 1 and before in ("number", "numero"))
    if not starts and plainly and (not wordy or word not in ("one", "uno")):
        return value
    return value if ((starts and at == 0) or before in _ARTICLES) and not (wordy and word in ("one", "uno")) else None


def _is_count(word: str, exceptions: list[str]) -> bool:
    return (word.endswith("s") and len(word) > 3 and word not in exceptions) or word[0].isdigit()


def _left(tokens: list[str], at: int, table: dict[str, str]) -> bool:
    before, further = tokens[at - 1], tokens[at - 2] if at >= 2 else ""
    if before == "el" and not further:  # "El uno, con todo el dolor"
        return True
    if before == "de":  # "me siento de 5"
        return further in _FEEL
    if before in ("el", "the") and further in ("en", "at", "on", "con", "with"):  # "me quedo en el 3"
        return (tokens[at - 3] if at >= 3 else "") in table["left_at"].split()
    if before not in table["left"].split():
        return False
    if before == "menos":  # minus
        return further == "o"
    if before in _ARTICLES and further in ("saco", "sacaron", "scored", "sacamos"):
        return False
    if before in ("at", "en"):
        put = further not in ("me", "it") or (at >= 3 and tokens[at - 3] in ("put", "leave", "keep", "have"))
        return (further in table["left_at"].split() and put) or (at >= 3 and bool(_BOUNDARY.fullmatch(further)))
    if before == "to":
        return bool({"up", "down", "back", "went", "dropped", "from"} & set(tokens[max(0, at - 5) : at + 2]))
    if before == "no":  # nº 3
        return at == 1 and tokens[at].isdigit()
    if before in ("is", "es"):
        return further in table["left_subjects"].split()
    if before in ("and", "y", "not", "with", "number", "numero"):
        plainly = tokens[at].isdigit() or (before in ("number", "numero") and at == 1)
        return plainly and before not in ("not",) and further != "is"
    return True
