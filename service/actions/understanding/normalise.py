"""Turns a text as people type it into plain words with one space between, so that rules see language and not spelling.

Undone here: case, accents, look-alike letters, emoji, digits for letters, spaced and stretched letters, short forms,
slips of the finger on the words that matter, quoted messages and tapbacks.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.actions.understanding.lexicon import Lexicon, lexicon
from service.actions.understanding.spelling import respell, unglue

LONGEST = 4000
"""Characters that are read from the start and, of a longer text, from the end as well."""

LOOKALIKES = str.maketrans("аеорсухіјѕԁһ’‘ʼ´`“”«»„…–—ı", "aeopcyxijsdh'''''\"\"\"\"\"\u2026--i")
_HIDDEN = re.compile("[\ufe00-\ufe0f\u20e3\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\U0001f3fb-\U0001f3ff]")
_TOKEN = re.compile(
    r"\d+(?:[.:,/\-]\d+)+|\d+(?:st|nd|rd|th|am|pm|mg|h)?(?![a-z@$!*])|:'?[()]|<3|</3"
    r"|[a-z0-9@$*+|]*[a-z][a-z0-9@$*|]*(?:!+[a-z0-9]+)*(?:'[a-z]+)*|\d+|\u2026|\.{2,}|[.?!,;:\n\"]|[^\w\s]",
)
_SPACED = re.compile(r"(?<![\w'])[a-z0-9@$!](?:[ .\-_*]{1,3}[a-z0-9@$!]){2,}(?![\w'])")
_YES = re.compile(r"(?i)\bs(?:í|í)(?!\w|\s+mism)")
"""The accent tells yes from if, so it is read before accents are folded."""
_HYPHEN = re.compile(r"(?<=[a-z]{2})-(?=[a-z]{2})|(?<=\be)-(?=mail)")
_TAPBACK = re.compile(
    r"^\s*(?:(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|removed an? [\w ]+ from"
    r"|reacted \S+ (?:to|with)"
    r"|le (?:gusto|encanto|dio risa)|(?:me|te) (?:gusta|encanta)|no le gusto|se rio de|enfatizo|exclamo|pregunto por"
    r"|reacciono(?: con)? \S*(?: a)?|\S{1,4} (?:to|a))\s*)[\"'].*[\"']\s*$"
    r"|^\s*(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned)"
    r" an? (?:image|photo|video|attachment|message)\s*$",
    re.DOTALL,
)
_ATTRIBUTION = re.compile(
    r"(?im)^\s*(?:on .{6,80} wrote:|el .{6,80} escribi[oó]:|-{2,} ?original message|from: .+@).*",
    re.DOTALL,
)
_QUOTE = re.compile(r'(?<!\w)"([^"\n]{3,}?)"(?!\w)')


@dataclass(frozen=True, slots=True)
class Text:
    """A text made ready. `words` begins and ends with a space; `quoted` are the words that stood in quotation marks;
    `lines` are the member's own lines in lower case; `plain` is all of them, accents folded, for reading numbers."""

    words: str
    quoted: str
    plain: str
    lines: tuple[str, ...]
    tapback: bool
    language: str


def fold(text: str) -> str:
    """Lower case without accents, look-alikes or invisible characters. Keeps ñ's n: año and ano fall together."""
    text = _HIDDEN.sub(
        "",
        unicodedata.normalize("NFKC", text.replace("\x00", "")).translate(LOOKALIKES),
    ).lower()
    text = text.translate(LOOKALIKES)
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) not in ("Mn", "Cf"))


def normalise(text: str, *, language: str | None = None, context: Sequence[str] = ()) -> Text:
    """Makes a text ready for the rules. `context` are messages of ours: repeated lines of theirs are quotes."""
    if len(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]} . {text[-LONGEST:]}"
    accents = any(c in "áéíóúñ¿¡" for c in text.lower())
    plain = fold(_YES.sub("yes", text))
    tapback = bool(_TAPBACK.match(plain))
    if tapback:
        return Text(" ", "", "", (), True, language or _language([], accents))
    ours = {fold(sent).strip() for sent in context}
    plain = _ATTRIBUTION.sub("", plain)
    lines = tuple(
        line.strip()
        for line in plain.split("\n")
        if line.strip() and not line.lstrip().startswith(">") and line.strip() not in ours
    )
    plain = "\n".join(lines)
    quoted = " ".join(_QUOTE.findall(plain))
    outside = _QUOTE.sub(" , ", plain) if quoted else plain
    if quoted and not re.search(r"\w", outside):  # all of it in quotation marks: scare quotes, not a quotation
        quoted, outside = "", plain.replace('"', " ")
    book = lexicon()
    tokens = _tokens(outside, book)
    quoted_words = _join(_tokens(quoted, book)) if quoted else ""
    return Text(
        _join(tokens),
        quoted_words,
        plain,
        lines,
        False,
        language or _language(tokens, accents),
    )


def _join(tokens: list[str]) -> str:
    return f" {' '.join(tokens)} " if tokens else " "


def _tokens(text: str, book: Lexicon) -> list[str]:
    emoji: dict[str, str] = book.spelling["emoji"]
    text = "".join(f" {emoji[c]} " if c in emoji else c for c in text) if not text.isascii() else text
    text = _HYPHEN.sub(" ", text)
    text = _SPACED.sub(lambda match: _unspace(match.group(), book), text)
    out: list[str] = []
    raws = _TOKEN.findall(text)
    for raw in raws:
        for word in _expand(raw) if raw != "n" or len(raws) > 2 else ("no",):
            # A comma is kept only between words, and two ends of a sentence are one.
            if (word in ".,?" and out and out[-1] in ".,?") or (word in ".," and not out):
                if word == "?" or (word == "." and out and out[-1] == ","):
                    out[-1] = word
                continue
            out.append(word)
    return _phrases(out, book)


@lru_cache(maxsize=20_000)
def _expand(raw: str) -> tuple[str, ...]:
    """One token as plain words."""
    book = lexicon()
    short: dict[str, str] = book.spelling["short"]
    if raw in (".", "?", ","):
        return (raw,)
    if raw in '!;\n:"' or raw == "\u2026" or set(raw) == {"."}:
        return ("." if raw in "!;" else ",",)
    bare = raw.strip("'*!|+") or raw
    if bare in short:
        return tuple(short[bare].split())
    if bare == "#":
        return ("number",)
    if not any(c.isalpha() for c in bare):
        return (bare if any(c.isdigit() for c in bare) else ",",)
    word = respell(bare, book)
    if word in short:
        return tuple(short[word].split())
    for ending, spelled in (
        ("n't", "not"),
        ("'m", "am"),
        ("'re", "are"),
        ("'ve", "have"),
        ("'ll", "will"),
        ("'d", "would"),
    ):
        if word.endswith(ending):
            return (*_expand(word[: -len(ending)]), spelled)
    if word.endswith("'s"):
        return (word[:-2], "is") if word[:-2] in book.spelling["is_after"].split() else (word[:-2],)
    if word not in book.known and len(word) >= 7:
        parts = unglue(word, book)
        if parts:
            return tuple(part for word in parts for part in (short.get(word, word)).split())
    return (word.replace("'", ""),)


def _unspace(letters: str, book: Lexicon) -> str:
    """`k i l l  m y s e l f` and `s.t.o.p`: joined where the letters make words that we know, else left alone."""
    words = []
    for chunk in re.split(r" {2,}|(?<=\w)[ ]?[.\-_*]?[ ]{2,}", letters):
        joined = re.sub(r"[ .\-_*]+", "", chunk)
        whole = respell(joined, book)
        parts = [whole] if whole in book.known or whole in book.spelling["short"] else unglue(joined, book)
        if not parts:
            return letters
        words.extend(parts)
    return f" {' '.join(words)} "


def _phrases(tokens: list[str], book: Lexicon) -> list[str]:
    """Slang and short forms of more than one word."""
    joined = _join(tokens)
    phrases: dict[str, str] = book.spelling["phrases"]
    for phrase, meaning in phrases.items():
        if phrase in joined:
            joined = joined.replace(f" {phrase} ", f" {meaning} ")
    return joined.split()


def _language(tokens: list[str], accents: bool) -> str:
    """Spanish if its little words outnumber the English ones, or nothing speaks against its accents."""
    marks = lexicon().spelling
    spanish, english = marks["spanish"].split(), marks["english"].split()
    score = sum((token in spanish) - (token in english) for token in tokens) + accents
    return "es" if score > 0 else "en"
