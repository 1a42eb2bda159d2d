"""A finished part of an email as literal pieces and slots, and how a value is written into each kind of slot."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from service.channels.email_source import TOKEN


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value goes. `kind` decides how it is written; `more` is the attributes of a paragraph."""

    token: str
    kind: str
    more: str = ""

    def write(self, value: str) -> str:
        """The value as it stands in the message: never markup, and never a link to anything but a page or a mailbox."""
        return _WRITERS[self.kind](value, self.more)


Pieces = list[str | Slot]

_SAFE_SCHEMES = ("https://", "http://", "mailto:", "tel:")


def _html(value: str, _: str = "") -> str:
    return escape(value).replace("\n", "<br>\n") if "\n" in value else escape(value)


def _paragraphs(value: str, attributes: str) -> str:
    """A value that has a paragraph to itself keeps its own paragraphs."""
    if "\n" not in value:
        return escape(value)
    return f"</p>\n<p{attributes}>".join(_html(part.strip("\n")) for part in re.split(r"\n\s*\n", value.strip()))


def _address(value: str, _: str) -> str:
    whole = "%20".join(value.split())
    return escape(whole) if whole[:8].lower().startswith(_SAFE_SCHEMES) else "#"


def _in_address(value: str, _: str) -> str:
    return quote(value, safe="")


def _line(value: str, _: str) -> str:
    return value.replace("\n", " ") if "\n" in value else value


def _plain(value: str, _: str) -> str:
    return value


_WRITERS: dict[str, Callable[[str, str], str]] = {
    "html": _html,
    "paragraph": _paragraphs,
    "address": _address,
    "in_address": _in_address,
    "line": _line,
    "plain": _plain,
}

_TOKEN = TOKEN.pattern
_HTML_PLACES = re.compile(
    rf'href="(?P<href>[^"]*)"|<p(?P<attributes>[^>]*)>(?P<alone>{_TOKEN})</p>(?P<end>\n?)|(?P<token>{_TOKEN})'
)
_TEXT_PLACES = re.compile(rf"(?P<token>(?:(?<=\n\n)|\A)(?P<alone>{_TOKEN})\n\n|{_TOKEN})")


def html_pieces(html: str, tokens: Collection[str], blocks: Collection[str] = ()) -> Pieces:
    """Take finished HTML apart at its tokens. A block that has a paragraph to itself takes the paragraph's place."""
    pieces: Pieces = []
    position = 0
    for match in _HTML_PLACES.finditer(html):
        pieces.append(html[position : match.start()])
        position = match.end()
        if match["href"] is not None:
            pieces += _href_pieces(match["href"], tokens, blocks)
        elif match["alone"] in blocks:
            pieces.append(Slot(match["alone"], "alone"))
        elif match["alone"] in tokens:
            attributes = match["attributes"]
            slot = Slot(match["alone"], "paragraph", attributes)
            pieces += [f"<p{attributes}>", slot, f"</p>{match['end']}"]
        elif match["token"] in blocks:
            pieces.append(Slot(match["token"], "inline"))
        elif match["token"] in tokens:
            pieces.append(Slot(match["token"], "html"))
        else:
            pieces.append(match[0])
    pieces.append(html[position:])
    return merged(pieces)


def _href_pieces(href: str, tokens: Collection[str], blocks: Collection[str]) -> Pieces:
    pieces: Pieces = ['href="']
    position = 0
    for match in TOKEN.finditer(href):
        pieces.append(href[position : match.start()])
        if match[0] in blocks:
            pieces.append(Slot(match[0], "inline"))
        elif match[0] in tokens:
            pieces.append(Slot(match[0], "in_address" if match.start() else "address"))
        else:
            pieces.append(match[0])
        position = match.end()
    return [*pieces, href[position:], '"']


def text_pieces(text: str, tokens: Collection[str], blocks: Collection[str] = (), kind: str = "plain") -> Pieces:
    """Take finished plain text apart at its tokens; `kind` is how values are written in it."""
    pieces: Pieces = []
    position = 0
    for match in _TEXT_PLACES.finditer(text):
        pieces.append(text[position : match.start()])
        position = match.end()
        token = match["alone"] or match[0]
        if token in blocks:
            pieces.append(Slot(token, "alone" if match["alone"] else "inline"))
        elif token in tokens:
            pieces += [Slot(token, kind), "\n\n" if match["alone"] else ""]
        else:
            pieces.append(match[0])
    pieces.append(text[position:])
    return merged(pieces)


def merged(pieces: Iterable[str | Slot]) -> Pieces:
    """The same with neighbouring literals joined and empty ones left out, so that equal pieces are equal lists."""
    result: Pieces = []
    for piece in pieces:
        if isinstance(piece, str) and result and isinstance(result[-1], str):
            result[-1] += piece
        elif piece != "":
            result.append(piece)
    return result


def filled(pieces: Pieces, values: Mapping[str, str]) -> str:
    """The pieces with a value in each slot."""
    return "".join(p if isinstance(p, str) else p.write(values[p.token]) for p in pieces)
