"""Markdown to HTML and to plain text, by one parser, so that both parts of an email say the same."""

import re
from collections.abc import Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

_URL = r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]"
_TAGS = {
    "a", "p", "br", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "h1", "h2", "h3", "h4", "h5",
    "h6",
}  # fmt: skip
RULE = "* * *"


def _text(_: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    """Text with links where an address stands by itself; mail programmes differ in whether they make them."""
    content = tokens[index].content
    depth = sum(t.nesting for t in tokens[:index] if t.type in ("link_open", "link_close"))
    if depth:
        return escapeHtml(content)
    pattern = "|".join([_URL, *env.get("urls", ())])
    parts = re.split(f"({pattern})", content)
    return "".join(
        f'<a href="{escapeHtml(p)}">{escapeHtml(p)}</a>' if n % 2 else escapeHtml(p) for n, p in enumerate(parts)
    )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image")
    parser.add_render_rule("text", _text)
    return parser


_MARKDOWN = _parser()


def to_html(markdown: str, urls: frozenset[str] = frozenset(), *, inline: bool = False) -> str:
    """Safe HTML of a Markdown text: no pictures, no HTML of its own, links to http, https, mailto and tel only.

    `urls` are words that stand for an address and become links where they stand alone. `inline` makes no paragraphs.
    """
    env = {"urls": sorted(urls)}
    html = _MARKDOWN.renderInline(markdown, env) if inline else _MARKDOWN.render(markdown, env)
    return nh3.clean(
        html, tags=_TAGS, attributes={"a": {"href"}, "ol": {"start"}}, link_rel=None,
        url_schemes={"http", "https", "mailto", "tel"},
    )  # fmt: skip


def to_text(markdown: str, *, inline: bool = False) -> str:
    """The same as plain text. Each paragraph, list or heading ends with an empty line, except with `inline`."""
    tokens = _MARKDOWN.parseInline(markdown) if inline else _MARKDOWN.parse(markdown)
    root = SyntaxTreeNode(tokens)
    if inline:
        return "".join(_inline(child) for child in root.children)
    return "".join(_block(child) + "\n\n" for child in root.children)


def _block(node: SyntaxTreeNode) -> str:
    if node.type in ("paragraph", "heading"):
        return "".join(_inline(child) for child in node.children)
    if node.type in ("bullet_list", "ordered_list"):
        return _list(node)
    if node.type == "blockquote":
        return "\n".join(f"> {line}".rstrip() for line in _blocks(node).split("\n"))
    if node.type == "hr":
        return RULE
    if node.type in ("fence", "code_block"):
        return node.content.rstrip("\n")
    return _blocks(node) if node.children else node.content


def _blocks(node: SyntaxTreeNode) -> str:
    tight = any(child.type == "paragraph" and child.hidden for child in node.children)
    return ("\n" if tight else "\n\n").join(_block(child) for child in node.children)


def _list(node: SyntaxTreeNode) -> str:
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    items = []
    loose = False
    for number, item in enumerate(node.children):
        mark = "- " if start is None else f"{start + number}. "
        loose = loose or any(child.type == "paragraph" and not child.hidden for child in item.children)
        lines = _blocks(item).split("\n")
        items.append("\n".join(((mark if n == 0 else " " * len(mark)) + line).rstrip() for n, line in enumerate(lines)))
    return ("\n\n" if loose else "\n").join(items)


def _inline(node: SyntaxTreeNode) -> str:
    if node.type in ("text", "code_inline"):
        return node.content
    if node.type in ("softbreak", "hardbreak"):
        return "\n"
    inner = "".join(_inline(child) for child in node.children)
    if node.type != "link":
        return inner
    address = str(node.attrs.get("href", ""))
    shown = address.removeprefix("mailto:").removeprefix("tel:")
    return inner if inner == shown else f"{inner} <{shown}>"
