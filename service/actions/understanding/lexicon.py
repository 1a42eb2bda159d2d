"""Reads the rules and words from the data files beside this module, and bends words into their other forms.

An entry of a class may end in `+` (an English verb: all its forms) or `~` (a Spanish infinitive: all its forms, with
and without the small pronouns that Spanish sews on). An organisation may add a folder of its own with files of the
same shape: classes and rules of the same name grow, none is taken away.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from service.actions.understanding.inflection import english, spanish
from service.actions.understanding.patterns import (
    Compiler,
    PatternError,
    Rule,
    make_rules,
)
from service.actions.understanding.rulebook import RuleBook, make_books

HERE = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything that was read: rule books by name, spelling tables, and all the words that any rule knows."""

    books: Mapping[str, RuleBook]
    classes: Mapping[str, Sequence[str]]
    spelling: Mapping[str, Any]
    known: frozenset[str]


def read(folders: Sequence[Path]) -> Lexicon:
    """Reads every `*.toml` of the folders, in order of name. Raises PatternError, naming the file, if one is wrong."""
    classes: dict[str, list[str]] = {}
    written: dict[str, list[dict[str, Any]]] = {}
    spelling: dict[str, Any] = {}
    for path in [path for folder in folders for path in sorted(folder.glob("*.toml"))]:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PatternError(f"{path.name}: {error}") from error
        for name, entries in data.get("classes", {}).items():
            classes.setdefault(name, []).extend(form for entry in entries for form in forms(entry))
        for book, rules in data.get("rules", {}).items():
            added = [] if path.parent == HERE else ["added"]  # our weights of words never met these: they lower none
            written.setdefault(book, []).extend({**rule, "marks": [*rule.get("marks", []), *added]} for rule in rules)
        for table, value in data.get("spelling", {}).items():
            _grow(spelling, table, value)
    compiler = Compiler(classes, _common())
    made = {book: _rules(compiler, book, rules) for book, rules in written.items()}
    words = {word for rules in made.values() for rule in rules for word in rule.words}
    books = make_books(made)
    for name in classes:
        words |= compiler.named(name).words
    return Lexicon(
        books,
        classes,
        spelling,
        frozenset(words | set(spelling.get("words", "").split())),
    )


def _common() -> dict[str, int]:
    """The commonest words, and in how many of ten thousand texts each is (tests/understanding/fit.py counts them)."""
    rows = (HERE / "common.tsv").read_text(encoding="utf-8").splitlines()
    return {word: int(times) for word, times in (row.split("\t") for row in rows)}


def _rules(compiler: Compiler, book: str, rules: Sequence[dict[str, Any]]) -> list[Rule]:
    made: list[Rule] = []
    for rule in rules:
        try:
            made.extend(
                make_rules(
                    compiler,
                    rule["name"],
                    rule["label"],
                    rule["patterns"],
                    rule.get("marks", []),
                )
            )
        except (KeyError, PatternError) as error:
            raise PatternError(f"{book}: rule {rule.get('name', '?')}: {error}") from error
    return made


def _grow(spelling: dict[str, Any], table: str, value: Any) -> None:
    if isinstance(value, dict):
        spelling.setdefault(table, {}).update(value)
    elif isinstance(value, list):
        spelling.setdefault(table, []).extend(value)
    else:
        spelling[table] = f"{spelling.get(table, '')} {value}"


def forms(entry: str) -> list[str]:
    """The forms of one entry: itself, or all those of the verb that carries the sign `+` or `~`."""
    for sign, bend in (("+", english), ("~", spanish)):
        if sign in entry:
            words = entry.split()
            at = next(number for number, word in enumerate(words) if word.endswith(sign))
            return [" ".join([*words[:at], form, *words[at + 1 :]]) for form in bend(words[at][:-1])]
    return [entry]


_folders: tuple[Path, ...] = (HERE,)


@cache
def _lexicon(folders: tuple[Path, ...]) -> Lexicon:
    return read(folders)


def lexicon() -> Lexicon:
    """The lexicon in use, read once."""
    return _lexicon(_folders)


def use_rules(*folders: Path) -> None:
    """Add folders of an organisation's own rules to ours, for this process. Raises PatternError and changes nothing
    if a file in them is wrong."""
    global _folders
    wanted = (HERE, *folders)
    _lexicon(wanted)
    _folders = wanted
