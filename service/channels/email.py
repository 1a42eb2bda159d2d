"""An email written once for everybody: the finished subject, text and HTML, and what to put in for each member.

Markdown, sanitising and styling happen once per campaign. What depends on the member is a random word in the finished
parts, which the provider replaces; each word has its own value, written for the place where it stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.channels.batches import substituted
from service.channels.email_layout import Page, brand
from service.channels.email_markdown import to_html, to_text
from service.channels.email_pieces import Pieces, Slot, filled, html_pieces, merged, text_pieces
from service.channels.email_source import (
    Cells,
    Source,
    canonical,
    clean,
    new_token,
    read_block,
    read_whole,
    take_apart,
    whole_cell,
)
from service.channels.render import MissingValue, require_sound

Convert = Callable[[str], str]
Fragments = dict[tuple[str, str], dict[str, Pieces]]
"""Per block and place (alone, inline): the pieces of each outcome."""


@dataclass
class CompiledEmail:
    """The parts of an email with a random word wherever something depends on the member."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    shared: bool
    """Whether the members share the body; if not, all of it is rendered for each."""
    _cells: Cells = field(repr=False)
    _plan: list[tuple[str, int, Convert]] = field(repr=False)
    _page: Page = field(repr=False)

    def __post_init__(self) -> None:
        page = self._page
        ways = {page.preferences, page.unsubscribe}
        self._links = [
            (page.links, html_pieces(page.links_html, ways)),
            (page.text_links, text_pieces(page.links_text(), ways)),
        ]

    def substitutions(self, context: Mapping[str, str | None]) -> dict[str, str]:
        """What stands in place of each random word for one member. Raises MissingValue.

        `preferences_url` and `unsubscribe_url` must be in the context, because every email says how to leave; only
        where one is None, for people who are no members, are the links left out. More than 9,000 bytes are no harm:
        such a member's email then travels by itself (`batches.split`).
        """
        for name in ("preferences_url", "unsubscribe_url"):
            if name not in context:
                raise MissingValue(name)
        values = self._cells.compute(context)
        made = {token: convert(values[cell]) for token, cell, convert in self._plan}
        preferences, unsubscribe = context["preferences_url"], context["unsubscribe_url"]
        ways = {self._page.preferences: preferences or "", self._page.unsubscribe: unsubscribe or ""}
        for token, pieces in self._links:
            made[token] = filled(pieces, ways) if preferences and unsubscribe else ""
        return made


def compile_email(
    subject: str,
    body_markdown: str,
    *,
    layout: Mapping[str, Any],
    constants: Mapping[str, str | None] | None = None,
    shared: bool = True,
) -> CompiledEmail:
    """Make an email ready for any number of members. Raises TemplateInvalid, naming what is wrong.

    `layout` is an `email_layout.Layout`. `constants` are merge fields with the same value for everybody, such as a
    story: they are put in at once. `shared=False` renders the body for each member by itself, with the same result.
    """
    require_sound(subject)
    require_sound(body_markdown)
    return _Writer(Page(brand(layout)), constants or {}).write(subject, canonical(body_markdown), shared)


def render_email(compiled: CompiledEmail, context: Mapping[str, str | None]) -> tuple[str, str, str]:
    """(subject, text, html) as one member gets them. Raises MissingValue."""
    return substituted(compiled.subject, compiled.text, compiled.html, compiled.substitutions(context))


class _Writer:
    """The state of one compilation: the cells and the random words given out so far."""

    def __init__(self, page: Page, constants: Mapping[str, str | None]) -> None:
        self.page = page
        self.constants = constants
        self.cells = Cells()
        self.plan: list[tuple[str, int, Convert]] = []
        self._words: dict[tuple[str, Slot, int], str] = {}

    def write(self, subject: str, body: str, shared: bool) -> CompiledEmail:
        parts = self._shared_body(body) if shared else None
        html, text = parts or self._whole_body(body)
        title = self._subject(" ".join(clean(subject).split("\n")).strip())
        return CompiledEmail(title, text, html, parts is not None, self.cells, self.plan, self.page)

    def _shared_body(self, body: str) -> tuple[str, str] | None:
        """HTML and text of a body that can be shared, or None.

        A condition may change how Markdown reads what stands around it. So every combination of outcomes is tried
        here: only if each gives exactly what rendering for one member would give, the body is shared.
        """
        cells = Cells()
        source = take_apart(body, cells)
        if source is None:
            return None
        html, text = self._html(source.text, source), self._text(source.text, source)
        html_parts = self._fragments(html, source, self._html_fragment)
        text_parts = self._fragments(text, source, self._text_fragment)
        for chosen in source.combinations():
            spliced = source.spliced(chosen)
            if self._html(spliced, source) != _expanded(html, html_parts, chosen):
                return None
            if self._text(spliced, source) != _expanded(text, text_parts, chosen):
                return None
        self.cells = cells
        return self._final("html", html, source, html_parts), self._final("text", text, source, text_parts)

    def _html(self, markdown: str, source: Source) -> Pieces:
        return html_pieces(self.page.around(to_html(markdown, source.urls)), source.values, source.blocks)

    def _text(self, markdown: str, source: Source) -> Pieces:
        return text_pieces(self.page.text_around(to_text(markdown)), source.values, source.blocks)

    def _html_fragment(self, markdown: str, source: Source, inline: bool) -> Pieces:
        html = to_html(markdown, source.urls, inline=inline)
        return html_pieces(self.page.styled(html, inline=inline), source.values)

    def _text_fragment(self, markdown: str, source: Source, inline: bool) -> Pieces:
        return text_pieces(to_text(markdown, inline=inline), source.values)

    def _fragments(self, pieces: Pieces, source: Source, make: Callable[[str, Source, bool], Pieces]) -> Fragments:
        return {
            (slot.token, slot.kind): {
                outcome: make(outcome, source, slot.kind == "inline") for outcome in source.blocks[slot.token].outcomes
            }
            for slot in pieces
            if isinstance(slot, Slot) and slot.token in source.blocks
        }

    def _final(self, part: str, pieces: Pieces, source: Source, fragments: Fragments) -> str:
        """The pieces with a random word in each slot, or the value itself where it is the same for everybody."""
        settled = self.cells.settle(self.constants)
        made: list[str] = []
        for piece in pieces:
            if isinstance(piece, str):
                made.append(piece)
                continue
            block = source.blocks.get(piece.token)
            cell = block.cell if block else source.values[piece.token]
            convert = _block_writer(fragments[piece.token, piece.kind]) if block else piece.write
            made.append(convert(settled[cell]) if cell in settled else self._word(part, piece, cell, convert))
        return "".join(made)

    def _word(self, part: str, slot: Slot, cell: int, convert: Convert) -> str:
        key = (part, slot, cell)
        if key not in self._words:
            self._words[key] = new_token()
            self.plan.append((self._words[key], cell, convert))
        return self._words[key]

    def _whole_body(self, body: str) -> tuple[str, str]:
        """HTML and text with one random word each in place of the whole body."""
        cell = whole_cell(body, self.cells)
        return (
            self._whole(cell, self._whole_html, self.page.around),
            self._whole(cell, _whole_text, self.page.text_around),
        )

    def _whole(self, cell: int, convert: Convert, around: Convert) -> str:
        """A part with one random word for a whole cell, or with what it says where that is the same for everybody."""
        settled = self.cells.settle(self.constants)
        word = new_token()
        part = around(word)
        if cell in settled:
            return part.replace(word, convert(settled[cell]))
        self.plan.append((word, cell, convert))
        return part

    def _whole_html(self, value: str) -> str:
        markdown, values, urls = read_whole(value)
        return filled(html_pieces(self.page.styled(to_html(markdown, urls), inline=False), values), values)

    def _subject(self, subject: str) -> str:
        source = take_apart(subject, self.cells)
        if source is None:
            return self._whole(whole_cell(subject, self.cells), _whole_line, str)
        pieces = text_pieces(source.text, source.values, source.blocks, kind="line")
        fragments: Fragments = {
            (slot.token, slot.kind): {
                outcome: text_pieces(outcome, source.values, kind="line")
                for outcome in source.blocks[slot.token].outcomes
            }
            for slot in pieces
            if isinstance(slot, Slot) and slot.token in source.blocks
        }
        return self._final("subject", pieces, source, fragments)


def _expanded(pieces: Pieces, fragments: Fragments, chosen: Mapping[str, str]) -> Pieces:
    """The pieces with the chosen outcome in place of each block."""
    result: Pieces = []
    for piece in pieces:
        if isinstance(piece, Slot) and piece.token in chosen:
            result += fragments[piece.token, piece.kind][chosen[piece.token]]
        else:
            result.append(piece)
    return merged(result)


def _block_writer(outcomes: Mapping[str, Pieces]) -> Convert:
    def write(value: str) -> str:
        outcome, values = read_block(value)
        return filled(outcomes[outcome], values)

    return write


def _whole_text(value: str) -> str:
    markdown, values, _ = read_whole(value)
    return filled(text_pieces(to_text(markdown), values), values)


def _whole_line(value: str) -> str:
    line, values, _ = read_whole(value)
    return filled(text_pieces(line, values, kind="line"), values).replace("\n", " ")
