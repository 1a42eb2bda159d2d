"""Merge fields: what a coordinator may write between braces, checked before anything is sent.

Templates run in a sandbox on a short list of what they may contain; what members wrote comes in as values only and is
never read as a template, as HTML or as Markdown. A value that is missing and has no fallback is an error, by name.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from service.errors import Invalid


@dataclass(frozen=True, slots=True)
class Field:
    """One merge field: what it holds, and a value to show in previews."""

    description: str
    example: str


FIELDS: dict[str, Field] = {
    "first_name": Field("the member's first name, if they told us", "Ana"),
    "circle_name": Field("the member's circle, or the campaign's", "Tuesday Evening Circle"),
    "session_day": Field("the day of the session, in the member's time zone", "Tuesday 3 March"),
    "session_time": Field("when the session begins, in the member's time zone", "7:00 pm"),
    "session_place": Field("where the session is", "Room 2, Elm House"),
    "story_title": Field("the title of the hope story", "The first quiet morning"),
    "story_body": Field("the hope story itself", "I used to feel like that, and here's what helped me."),
    "story_about": Field('what the story is about, for the "about:" line', "grief"),
    "tool_title": Field("the title of the tool", "Breathing by fours"),
    "tool_body": Field("the tool itself", "Breathe in for four, hold for four, out for four."),
    "growth": Field("in a circle's week: small steps of its members", 'Small steps this week: "I went out"'),
    "gift_words": Field("the words of a member, in what leaves by itself", "It gets easier."),
    "org_name": Field("your organisation", "Hearthline"),
    "coordinator_name": Field("who writes", "Maya"),
    "preferences_url": Field("the member's own page to choose what they get", "https://example.org/p/abc"),
    "unsubscribe_url": Field("the member's own page to leave", "https://example.org/u/abc"),
    "rsvp_yes_url": Field('the page with the "I\'ll be there" button', "https://example.org/r/yes/abc"),
    "rsvp_no_url": Field('the page with the "I can\'t make it" button', "https://example.org/r/no/abc"),
    "rsvp_maybe_url": Field('the page with the "maybe" button', "https://example.org/r/maybe/abc"),
    "story_url": Field("the story's own page", "https://example.org/s/abc"),
    "prompt_body": Field("what others felt, of a “you too?”", "On Sunday evenings I dread the week."),
    "me_too_url": Field("the member's own page with the ME TOO button", "https://example.org/too/abc"),
}

EXAMPLES: dict[str, str] = {name: known.example for name, known in FIELDS.items()}
"""A context in which every field has a value."""

LONGEST = 100_000
"""The longest template that is read, in characters."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in a template that must be mended before it is sent; `suggestion` is the nearest known field."""

    line: int
    message: str
    field: str | None = None
    suggestion: str | None = None


class TemplateInvalid(Invalid):
    """A template cannot be used. `problems` names everything that was found, each with its line."""

    code = "template"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(f"Line {p.line}: {p.message}" for p in problems))
        self.problems = problems


class MissingValue(Invalid):
    """A merge field has no value for this member, and the template gives no fallback."""

    code = "missing_value"

    def __init__(self, name: str) -> None:
        super().__init__(
            f'There is no “{name}” for this member. Add what to say instead: {{{{ {name} or "…" }}}}',
            field=name,
        )
        self.name = name


class Missing(StrictUndefined):
    """A field without a value: false in an `if` or before an `or`, an error wherever it would be printed."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return isinstance(other, Missing)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    __hash__ = object.__hash__  # type: ignore[assignment]


def _fallback(value: Any, instead: str) -> Any:
    return value if value else instead


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
FILTERS = {"fallback", "default", "upper", "lower", "title", "capitalize", "trim"}
TESTS = {"defined", "undefined"}


class Sandbox(SandboxedEnvironment):
    """Jinja with the filters and tests above and nothing else: no globals, no loader."""

    def __init__(self, **options: Any) -> None:
        super().__init__(undefined=Missing, autoescape=False, keep_trailing_newline=True, **options)
        self.globals.clear()
        self.filters = {name: f for name, f in self.filters.items() if name in FILTERS} | {"fallback": _fallback}
        self.tests = {name: t for name, t in self.tests.items() if name in TESTS}


TEXT = Sandbox(trim_blocks=True, lstrip_blocks=True)
"""For text messages, where a line that holds only a tag leaves no empty line behind."""

_ALWAYS = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Or, nodes.And, nodes.Not,
    nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.Concat, nodes.Filter, nodes.Test, nodes.If, nodes.Assign,
    nodes.AssignBlock, nodes.Macro, nodes.Call, nodes.For, nodes.List, nodes.Tuple,
)  # fmt: skip

_PLAIN_NAMES = {
    nodes.Import: "importing other templates",
    nodes.FromImport: "importing other templates",
    nodes.Include: "including other templates",
    nodes.Extends: "extending other templates",
    nodes.Block: "blocks",
    nodes.Getattr: "looking inside a value (the dot)",
    nodes.Getitem: "looking inside a value (the brackets)",
    nodes.CallBlock: "call blocks",
    nodes.FilterBlock: "filter blocks",
    nodes.With: "with blocks",
    nodes.ScopedEvalContextModifier: "autoescape blocks",
    nodes.Dict: "lists of pairs",
}


def check(source: str, available: Collection[str] = FIELDS) -> list[Problem]:
    """Everything that is wrong with a template, in the order of its lines; empty when it can be sent.

    `available` are the fields that this kind of message has; a known field that is not among them is a problem too.
    """
    if len(source) > LONGEST:
        return [Problem(1, f"This is {len(source):,} characters long; {LONGEST:,} is the most.")]
    try:
        tree = TEXT.parse(source)
    except TemplateSyntaxError as error:
        return [Problem(error.lineno, _plain_syntax(error))]
    except RecursionError:
        return [Problem(1, "Too much is nested inside something else. Write it more plainly.")]
    problems = [*_unknown(tree, available), *_disallowed(tree)] or list(_trial(source))
    return sorted(dict.fromkeys(problems), key=lambda p: p.line)


def _trial(source: str) -> Iterator[Problem]:
    """What only shows when the template runs, such as a filter with the wrong number of arguments."""
    for context in (EXAMPLES, {}):
        try:
            run(TEXT.from_string(source), context)
        except MissingValue:
            continue  # a matter of one member's values, not of the template
        except Exception as error:
            yield Problem(1, f"This cannot be rendered: {error}.")
            return


def _plain_syntax(error: TemplateSyntaxError) -> str:
    message = error.message or "something is not closed"
    return f"This cannot be read: {message[0].lower()}{message[1:].rstrip('.')}."


def _unknown(tree: nodes.Template, available: Collection[str]) -> Iterator[Problem]:
    names = list(tree.find_all(nodes.Name))
    known_names = {*available, *(macro.name for macro in tree.find_all(nodes.Macro))}
    known_names |= {name.name for name in names if name.ctx != "load"}  # what `set`, a loop or a macro makes
    for name in names:
        if name.name in known_names:
            continue
        near = get_close_matches(name.name.lower(), available, n=1, cutoff=0.5)
        hint = f" Did you mean “{near[0]}”?" if near else f" Known fields: {', '.join(sorted(available))}."
        known = "is not available in this kind of message." if name.name in FIELDS else "is not a field that we know."
        yield Problem(name.lineno, f"“{name.name}” {known}{hint}", name.name, near[0] if near else None)


def _disallowed(tree: nodes.Template) -> Iterator[Problem]:
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    for node in _walk(tree):
        if not isinstance(node, _ALWAYS):
            what = _PLAIN_NAMES.get(type(node), f"“{type(node).__name__.lower()}”")
            yield Problem(node.lineno, f"A message may not use {what}.")
        elif isinstance(node, nodes.Const) and isinstance(node.value, str) and _CONTROL.search(node.value):
            yield Problem(node.lineno, "There is a control character between quotation marks.")
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            yield Problem(node.lineno, f"There is no filter “{node.name}”. Known: {', '.join(sorted(FILTERS))}.")
        elif isinstance(node, nodes.Test) and node.name not in TESTS:
            yield Problem(node.lineno, f"There is no test “{node.name}”. Known: {', '.join(sorted(TESTS))}.")
        elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
            yield Problem(node.lineno, "Say what comes otherwise: {{ … if … else … }}.")
        elif isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Name) and node.node.name in macros):
            yield Problem(node.lineno, "A message may not call anything but its own macros.")
        elif isinstance(node, nodes.Macro) and any(node.find_all((nodes.Call, nodes.Macro))):
            yield Problem(node.lineno, "A macro may not call or hold another one.")
        elif isinstance(node, nodes.For) and not _simple_loop(node):
            yield Problem(node.lineno, "A loop may only go over a list that is written out, and hold no other loop.")


def _simple_loop(loop: nodes.For) -> bool:
    written_out = isinstance(loop.iter, nodes.List | nodes.Tuple) and len(loop.iter.items) <= 50
    nested = any(inner is not loop for part in loop.body for inner in (part, *part.find_all(nodes.For))
                 if isinstance(inner, nodes.For))  # fmt: skip
    return written_out and not nested and not loop.recursive


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def require_sound(source: str, available: Collection[str] = FIELDS) -> None:
    """Raise TemplateInvalid with every problem of a template, if it has any."""
    if problems := check(source, available):
        raise TemplateInvalid(problems)


@lru_cache(maxsize=512)
def compile_text(source: str) -> Template:
    """A text message's template, compiled once per source. Raises TemplateInvalid."""
    require_sound(source)
    return TEXT.from_string(source)


def render_text(source: str, context: Mapping[str, str | None]) -> str:
    """A text message for one member. Raises TemplateInvalid, or MissingValue for a value that is None or blank."""
    return run(compile_text(source), context)


def run(template: Template, context: Mapping[str, str | None]) -> str:
    """Render a compiled template. A value that is None or blank counts as missing. Raises MissingValue."""
    try:
        return template.render({name: value for name, value in context.items() if value})
    except UndefinedError as error:
        raise MissingValue(_name_in(error)) from None


def _name_in(error: UndefinedError) -> str:
    """The field that an UndefinedError speaks of; jinja's message is `'name' is undefined`."""
    message = error.message or ""
    return message.split("'")[1] if message.count("'") >= 2 else message
