"""Brings a misspelt, stretched, masked or glued word back to one that the rules know, where that is safe."""

import re
from functools import cache, lru_cache

from service.actions.understanding.lexicon import Lexicon, lexicon

LEET = str.maketrans("013457@$!|8", "oieastasiib")
LEET_L = str.maketrans("013457@$!|8", "oleastaslib")
_RUN = re.compile(r"([a-z])\1{2,}")
_DOUBLE = re.compile(r"([a-z])\1+")


def respell(word: str, book: Lexicon) -> str:
    """The known word that `word` stands for, or `word` itself (with runs of three letters and more cut short)."""
    if word in book.known or word in book.spelling["short"]:
        return word
    return _respell(word)


@lru_cache(maxsize=20_000)
def _respell(word: str) -> str:
    book = lexicon()
    short: dict[str, str] = book.spelling["short"]
    fixed: dict[str, str] = book.spelling["typos"]
    if word in fixed:
        return fixed[word]
    for guess in _guesses(word):
        if guess in book.known or guess in short:
            return guess
        if guess in fixed:
            return fixed[guess]
    if "*" in word:
        return _unmask(word, book)
    if word.endswith("in") and word + "g" in book.known:  # textin, blockin
        return word + "g"
    swapped = _swapped(word, book)
    if swapped:
        return swapped
    plain = _RUN.sub(r"\1", word.translate(LEET) if not word.isalpha() and "'" not in word else word)
    if plain in book.spelling["not_typos"].split():
        return plain
    return _near(plain) or plain


def _swapped(word: str, book: Lexicon) -> str | None:
    """`tkae`, `lsit`: a short word that is known with two neighbours changed over."""
    if not 4 <= len(word) <= 6 or not word.isalpha() or word in book.spelling["not_typos"].split():
        return None
    for at in range(len(word) - 1):
        guess = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if guess != word and guess in book.known:
            return guess
    return None


def _guesses(word: str) -> list[str]:
    """Spellings to try in turn: digits as letters, long runs of a letter as two or one, every run as one."""
    starts = [word]
    if any(not c.isalpha() and c != "'" for c in word) and any(c.isalpha() for c in word):
        starts = [
            word.translate(LEET),
            word.translate(LEET_L),
            word.rstrip("0123456789!|"),
        ]
    found = list(starts)
    for start in starts:
        if _RUN.search(start):
            found.append(_RUN.sub(r"\1", start))
            found.append(_RUN.sub(r"\1\1", start))
            runs = list(_RUN.finditer(start))
            for kept in runs:  # killll myselff: one run doubled, the others single
                head, tail = (
                    _RUN.sub(r"\1", start[: kept.start()]),
                    _RUN.sub(r"\1", start[kept.end() :]),
                )
                found.append(head + kept.group(1) * 2 + tail)
            found.append(_DOUBLE.sub(r"\1", start))
    return found


def _unmask(word: str, book: Lexicon) -> str:
    """`k*ll`, `su*cide`: the one key word that fits the stars."""
    fitting = re.compile("".join("[a-z]" if letter == "*" else re.escape(letter) for letter in word))
    keys: list[str] = book.spelling["fuzzy"].split()
    for key in [*keys, "kill", "die", "stop", "dead", "cut", "rape", "raped", "fuck"]:
        if fitting.fullmatch(key):
            return key
    return word.replace("*", "")


@cache
def _deletions() -> dict[str, list[str]]:
    """Key words by themselves with one letter left out (two, if they are long)."""
    found: dict[str, list[str]] = {}
    for key in lexicon().spelling["fuzzy"].split():
        once = {key} | {key[:i] + key[i + 1 :] for i in range(len(key))}
        twice = {one[:i] + one[i + 1 :] for one in once for i in range(len(one))} if len(key) >= 8 else set()
        for form in once | twice:
            found.setdefault(form, []).append(key)
    return found


def _near(word: str) -> str | None:
    """The key word one slip away (two for eight letters and more), beginning with the same letter. Words under five
    letters are never guessed: too many others are that near."""
    if not 4 <= len(word) <= 24:
        return None
    index = _deletions()
    reach = 2 if len(word) >= 6 else 1
    forms = {word} | {word[:i] + word[i + 1 :] for i in range(len(word))}
    if reach == 2:
        forms |= {form[:i] + form[i + 1 :] for form in forms for i in range(len(form))}
    best: tuple[int, str] | None = None
    for key in {key for form in forms for key in index.get(form, ())}:
        if key[0] != word[0] or len(key) < 5:
            continue
        away = slips(word, key)
        if away <= (2 if len(key) >= 8 and len(word) >= 6 else 1) and (best is None or (away, key) < best):
            best = (away, key)
    return best[1] if best else None


def slips(one: str, other: str) -> int:
    """Letters added, dropped, changed or swapped with their neighbour between two words."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def unglue(word: str, book: Lexicon) -> list[str]:
    """Words written without spaces (`killmyself`, `leavemealone`), if they are all from the short list, else []."""
    pieces = book.spelling["glued"].split()
    word = _RUN.sub(r"\1", word.translate(LEET))
    best: dict[int, list[str]] = {0: []}
    for end in range(1, len(word) + 1):
        for piece in pieces:
            start = end - len(piece)
            if (
                start in best
                and word.startswith(piece, start)
                and (end not in best or len(best[end]) > len(best[start]))
            ):
                best[end] = [*best[start], piece]
    return best.get(len(word), [])
