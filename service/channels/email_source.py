"""Taking an email's source apart: what all members share stays text, what depends on the member becomes a token.

Every expression, and every whole `{% if %}`, is a cell; one compiled template computes all cells of a member at once.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product

from jinja2 import Template, nodes

from service.channels.render import Sandbox, run

EMAIL = Sandbox()
"""For emails: line ends stay as they were written, because Markdown reads them."""

MOST_COMBINATIONS = 64
"""How many combinations of outcomes are tried to prove that an `{% if %}` can be taken out of the shared text."""

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
TOKEN = re.compile(r"hl[a-z0-9]{16}")
_NEXT_CELL = "\x01"
_OPEN, _NAMED, _CLOSE = "\x02", "\x03", "\x04"
_INNER = re.compile(f"{_OPEN}([a-z0-9]+){_NAMED}([^{_CLOSE}]*){_CLOSE}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")
_TAG_ALONE = re.compile(r"^[ \t]*(\{%[-+]?\s*(?:if|elif|else|endif)\b[^%\n]*%\})[ \t]*$", re.MULTILINE)


def new_token() -> str:
    """A word that stands in nobody's message. Lower case and digits pass through Markdown, links and URLs unchanged."""
    return "hl" + "".join(secrets.choice(_ALPHABET) for _ in range(16))


def clean(value: str) -> str:
    """The value without control characters, and with plain line ends."""
    if value.isprintable():
        return value
    return _CONTROL.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))


def canonical(source: str) -> str:
    """The source with empty lines around each `{% if %}`, `{% else %}`, `{% endif %}` that has a line of its own.

    So a condition around paragraphs never glues its text to the paragraph before.
    """
    return _TAG_ALONE.sub(r"\n\1\n", clean(source))


@dataclass
class Cells:
    """What is computed for each member: a list of small templates, compiled into one."""

    _bodies: list[list[nodes.Node]] = field(default_factory=list)
    _expressions: list[nodes.Node | None] = field(default_factory=list)
    _settled: dict[int, str] = field(default_factory=dict)
    _constants: dict[str, str] = field(default_factory=dict)
    _template: Template | None = None
    _names: tuple[str, ...] = ()

    def expression(self, node: nodes.Expr) -> int:
        """The cell of an expression; the same expression has the same cell."""
        for number, known in enumerate(self._expressions):
            if known == node:
                return number
        self._expressions.append(node)
        self._bodies.append([nodes.Output([node])])
        return len(self._bodies) - 1

    def statements(self, body: list[nodes.Node]) -> int:
        """The cell of whole statements."""
        self._expressions.append(None)
        self._bodies.append(body)
        return len(self._bodies) - 1

    def settle(self, constants: Mapping[str, str | None]) -> dict[int, str]:
        """Compute now what depends on nothing but these values, and return it by cell; it is not computed again."""
        self._constants = {name: clean(value) for name, value in constants.items() if value}
        for number, body in enumerate(self._bodies):
            if number not in self._settled and _names(body) <= set(constants):
                self._settled[number] = run(_compiled([body]), self._constants)
        return self._settled

    def compute(self, context: Mapping[str, str | None]) -> list[str]:
        """The value of every cell for one member; of a settled one, nothing. Raises MissingValue."""
        if self._template is None:
            bodies = [[] if n in self._settled else body for n, body in enumerate(self._bodies)]
            self._names = tuple(_names([node for body in bodies for node in body]))
            self._template = _compiled(bodies)
        given = {name: clean(value) for name in self._names if (value := context.get(name))}
        return run(self._template, {**self._constants, **given}).split(_NEXT_CELL)


def _names(body: list[nodes.Node]) -> set[str]:
    return {name.name for name in nodes.Template(body, lineno=1).find_all(nodes.Name) if name.ctx == "load"}


def _compiled(bodies: list[list[nodes.Node]]) -> Template:
    """One template of several bodies, with a mark between each two."""
    joined: list[nodes.Node] = []
    for number, body in enumerate(bodies):
        if number:
            joined.append(nodes.Output([nodes.TemplateData(_NEXT_CELL)], lineno=1))
        joined += deepcopy(body)
    tree = nodes.Template(joined, lineno=1)
    tree.set_environment(EMAIL)
    for node in tree.find_all(nodes.Node):
        node.set_lineno(1, override=False)
    return Template.from_code(EMAIL, EMAIL.compile(tree), EMAIL.make_globals(None))


@dataclass
class Block:
    """A whole `{% if %}`: its cell, and every text that may come out of it, with tokens for the values inside."""

    cell: int
    outcomes: list[str]


@dataclass
class Source:
    """A source taken apart. `text` is the source with a token for each part that depends on the member."""

    text: str
    values: dict[str, int] = field(default_factory=dict)
    """Token of an expression to its cell; expressions inside a block have a token and no cell (-1)."""
    blocks: dict[str, Block] = field(default_factory=dict)
    urls: frozenset[str] = frozenset()
    """Tokens of merge fields that are addresses, to be made links where they stand alone."""

    def combinations(self) -> Iterator[dict[str, str]]:
        """Every combination of outcomes of the blocks, as token to text; only the empty one without blocks."""
        for chosen in product(*(block.outcomes for block in self.blocks.values())):
            yield dict(zip(self.blocks, chosen, strict=True))

    def spliced(self, chosen: Mapping[str, str]) -> str:
        """The text with these outcomes in place of their blocks."""
        return TOKEN.sub(lambda m: chosen.get(m[0], m[0]), self.text)


class _CannotSplit(Exception):
    """This source can only be rendered for each member by itself."""


def take_apart(source: str, cells: Cells) -> Source | None:
    """The source with its cells, or None if it has statements (`set`, loops, macros) or too many outcomes."""
    tree = EMAIL.parse(source)
    names = _Names()
    parts: list[str] = []
    values: dict[str, nodes.Expr] = {}
    blocks: dict[str, tuple[nodes.If, list[str]]] = {}
    total = 1
    try:
        for node in tree.body:
            if isinstance(node, nodes.If):
                token = new_token()
                blocks[token] = (node, list(dict.fromkeys(_outcomes([node], names))))
                total *= len(blocks[token][1])
                parts.append(token)
                continue
            for part in _output(node):
                parts.append(part.data if isinstance(part, nodes.TemplateData) else names.of(part))
                if not isinstance(part, nodes.TemplateData):
                    values[parts[-1]] = part
    except _CannotSplit:
        return None
    if total > MOST_COMBINATIONS:
        return None
    return Source(
        "".join(parts),
        dict.fromkeys(names.tokens, -1) | {token: cells.expression(node) for token, node in values.items()},
        {t: Block(cells.statements([_wrapped(node, names)]), texts) for t, (node, texts) in blocks.items()},
        names.urls(),
    )


class _Names:
    """One token for each different expression."""

    def __init__(self) -> None:
        self._known: list[tuple[nodes.Node, str]] = []

    def of(self, node: nodes.Node) -> str:
        for known, token in self._known:
            if known == node:
                return token
        self._known.append((node, new_token()))
        return self._known[-1][1]

    @property
    def tokens(self) -> list[str]:
        return [token for _, token in self._known]

    def urls(self) -> frozenset[str]:
        return frozenset(t for n, t in self._known if isinstance(n, nodes.Name) and n.name.endswith("_url"))


def _output(node: nodes.Node) -> list[nodes.Expr]:
    if not isinstance(node, nodes.Output):
        raise _CannotSplit
    return node.nodes


def _outcomes(body: list[nodes.Node], names: _Names) -> list[str]:
    """Every text that these statements may give, with a token for each value."""
    texts = [""]
    for node in body:
        if isinstance(node, nodes.If):
            ways = [node.body, *(other.body for other in node.elif_), node.else_]
            more = [text for way in ways for text in _outcomes(way, names)]
        else:
            more = ["".join(p.data if isinstance(p, nodes.TemplateData) else names.of(p) for p in _output(node))]
        texts = [text + tail for text in texts for tail in more]
        if len(texts) > MOST_COMBINATIONS:
            raise _CannotSplit
    return texts


def _wrapped(node: nodes.If, names: _Names) -> nodes.If:
    """The same `{% if %}`, with marks around each value in it, so that the values can be told from the text."""
    copy = deepcopy(node)
    for output in copy.find_all(nodes.Output):
        marked: list[nodes.Expr] = []
        for part in output.nodes:
            if isinstance(part, nodes.TemplateData):
                marked.append(part)
            else:
                opening = nodes.TemplateData(f"{_OPEN}{names.of(part)}{_NAMED}")
                marked += [opening, part, nodes.TemplateData(_CLOSE)]
        output.nodes = marked
    return copy


def read_block(value: str) -> tuple[str, dict[str, str]]:
    """What a block gave: the outcome, as in `Block.outcomes`, and the values of the tokens in it."""
    values: dict[str, str] = {}

    def note(match: re.Match[str]) -> str:
        values[match[1]] = match[2]
        return match[1]

    return _INNER.sub(note, value), values


def whole_cell(source: str, cells: Cells) -> int:
    """The cell of a whole source that cannot be taken apart; `read_whole` reads what it gives."""
    tree = EMAIL.parse(source)
    names = _Names()
    texts = {a.target.name for a in tree.find_all(nodes.AssignBlock) if isinstance(a.target, nodes.Name)}
    for output in list(tree.find_all(nodes.Output)):
        marked: list[nodes.Expr] = []
        for part in output.nodes:
            if isinstance(part, nodes.TemplateData | nodes.Call) or getattr(part, "name", None) in texts:
                marked.append(part)
            else:
                token = names.of(part)
                kind = "u" if token in names.urls() else "v"
                opening = nodes.TemplateData(f"{_OPEN}{kind}{token}{_NAMED}")
                marked += [opening, part, nodes.TemplateData(_CLOSE)]
        output.nodes = marked
    return cells.statements(tree.body)


def read_whole(value: str) -> tuple[str, dict[str, str], frozenset[str]]:
    """What a whole cell gave: the text with a token for each value, the values, and which tokens are addresses.

    A value with others inside it, from a `set` block that was changed again, counts as one value.
    """
    text: list[str] = []
    tokens: dict[tuple[str, str], str] = {}
    depth, name, current = 0, "", ""
    for part in re.split(f"({_OPEN}[a-z0-9]+{_NAMED}|{_CLOSE})", value):
        if part.startswith(_OPEN):
            name = name if depth else part[1:-1]
            depth += 1
        elif part == _CLOSE:
            depth -= 1
            if not depth:
                text.append(tokens.setdefault((name, current), new_token()))
                current = ""
        elif depth:
            current += part
        else:
            text.append(part)
    urls = frozenset(token for (name, _), token in tokens.items() if name.startswith("u"))
    return "".join(text), {token: value for (_, value), token in tokens.items()}, urls
