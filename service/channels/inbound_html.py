"""Mail that came as HTML only, made into plain text with quotation marks, so that one set of rules reads all mail."""

import re
from html import unescape
from html.parser import HTMLParser

import nh3

from service.channels.inbound_words import SIGNATURE

MAX_HTML = 300_000
"""Characters read, without pictures pasted as data: the answer stands at the top. Parsing a million "&" takes 6 s."""
_PASTED_DATA = re.compile(r"data:[\w./+-]{0,60};base64,[A-Za-z0-9+/=\s]{100,}")
MAX_WORDS = 200_000
"""Characters given back, at least; what follows is not read."""
MAX_NESTING = 500
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]{0,20})", re.IGNORECASE)
_NEED_NO_END = frozenset("area base br col embed hr img input link meta source wbr p li td th tr option dt dd".split())
_BLOCKS = frozenset("p div li ul ol tr table h1 h2 h3 h4 h5 h6 pre hr blockquote center section article".split())
_TAGS = _BLOCKS | {"br", "td", "span", "img", "a"}
_ATTRIBUTES = {"blockquote": {"class", "type"}, "div": {"class"}, "span": {"class"}, "img": {"alt"}}
_QUOTE_CLASSES = ("gmail_quote", "yahoo_quoted", "protonmail_quote", "moz-cite", "zmail_extra")
_SIGNATURE_CLASSES = frozenset({"gmail_signature", "moz-signature"})
_VOID = frozenset({"br", "img", "hr"})
_MAX_DEPTH = 5


def to_text(html: str) -> str:
    """The words of `html` with its line breaks; quoted mail is marked with "> ", as in plain text.

    A plain blockquote outside quoted mail is a person's own indentation and is left unmarked.
    """
    html = _PASTED_DATA.sub("", html)[:MAX_HTML]
    if _nested_too_deeply(html):
        return unescape(re.sub(r"<[^<>]{0,2000}>", "\n", html))
    tidy = nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        clean_content_tags={"script", "style", "title", "template", "noscript"},
        link_rel=None,
    )
    # nh3 has closed every tag and dropped the rest, so the walk below may trust what it sees.
    walker = _Walker()
    for start in range(0, len(tidy), 50_000):
        walker.feed(tidy[start : start + 50_000])
        if walker.size > MAX_WORDS:
            return walker.text()
    walker.close()
    return walker.text()


def _nested_too_deeply(html: str) -> bool:
    """No mail program nests like this, and parsing takes quadratic time in the depth: 90 s for 200,000 tags."""
    depth = 0
    for tag in _TAG.finditer(html):
        if tag.group(2).lower() not in _NEED_NO_END:
            depth = max(0, depth - 1) if tag.group(1) else depth + 1
            if depth > MAX_NESTING:
                return True
    return False


class _Walker(HTMLParser):
    """Collects lines; remembers for each open tag whether it is a quotation or the frame around one."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._open: list[tuple[str, bool, bool]] = []  # tag, is a quotation, is the frame of quoted mail
        self._quotes = 0
        self.size = 0
        self._frames = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "br":
            self._end_line(even_if_empty=True)
        elif tag == "img":
            self._image(values.get("alt", ""))
        elif tag == "td":
            self._line.append(" ")
        elif tag in _BLOCKS:
            self._end_line()
        if tag in _VOID:
            return
        classes = values.get("class", "").split()
        frame = any(name.startswith(_QUOTE_CLASSES) for name in classes)
        quote = tag == "blockquote" and (
            frame or values.get("type") == "cite" or self._frames > 0 or self._introduced()
        )
        if _SIGNATURE_CLASSES.intersection(classes) and not self._quotes:
            self._begin_signature()
        self._open.append((tag, quote, frame))
        self._quotes += quote
        self._frames += frame
        if tag == "li":
            self._line.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if not any(tag == opened for opened, _, _ in self._open[-1:]):
            return
        if tag in _BLOCKS:
            self._end_line()
        _, quote, frame = self._open.pop()
        if tag in ("p", "blockquote"):
            self._end_line(even_if_empty=True)
        self._quotes -= quote
        self._frames -= frame

    def handle_data(self, data: str) -> None:
        self._line.append(re.sub(r"\s+", " ", data))
        self.size += len(data)

    def text(self) -> str:
        """The lines read so far."""
        self._end_line()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines))

    def _end_line(self, *, even_if_empty: bool = False) -> None:
        line = "".join(self._line).strip()
        self._line.clear()
        if line or even_if_empty:
            self._lines.append(f"{'> ' * min(self._quotes, _MAX_DEPTH)}{line}")

    def _begin_signature(self) -> None:
        self._end_line()
        if self._lines[-1:] == [SIGNATURE.strip()]:  # Gmail's own mark, which must not stand there twice
            self._lines.pop()
        self._lines.append(SIGNATURE)

    def _image(self, alt: str) -> None:
        # Some programs send emoji as pictures, and a tear is part of what was said.
        if alt and len(alt) <= 16 and not alt.isascii():
            self._line.append(alt)

    def _introduced(self) -> bool:
        """Whether what stands just above ends in a colon, as in "Ana wrote:"."""
        last = next((line for line in reversed(self._lines[-3:]) if line.strip()), "")
        return last.rstrip().endswith((" wrote:", " escribió:"))
