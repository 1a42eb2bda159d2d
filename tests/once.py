"""Work that the service does once in its life and tests would do thousands of times, once for each fresh database or
application: done once in each process of the tests. Nothing here changes what a test sees.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any

from argon2 import PasswordHasher
from jinja2 import Environment
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from service import db
from service.actions import staff

PASSWORDS = staff._hasher
"""What the service really hashes passwords with."""


def prepare() -> None:
    """Put all of it in place; once in a process."""
    _keep_templates()
    _keep_routes()
    _keep_statements()
    _hash_lightly()


def _keep_templates() -> None:
    """A template is compiled once, not once for each application that shows it."""
    compile_, kept = Environment.compile, {}

    def compile_once(self: Environment, source: Any, name: Any = None, filename: Any = None, *more: Any, **also: Any):
        escapes = self.autoescape(name) if callable(self.autoescape) else self.autoescape
        rules = (escapes, self.trim_blocks, self.lstrip_blocks, self.is_async, *sorted(self.extensions))
        key = (source, name, filename, rules, more, tuple(sorted(also.items())))
        if not isinstance(source, str):
            return compile_(self, source, name, filename, *more, **also)
        if key not in kept:
            kept[key] = compile_(self, source, name, filename, *more, **also)
        return kept[key]

    Environment.compile = compile_once  # type: ignore[method-assign]


def _keep_routes() -> None:
    """What makes addresses of a route is written once, not once for each application that has it."""
    build, kept = Rule._compile_builder, {}

    def build_once(self: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if self.defaults:  # their values are written in
            return build(self, append_unknown)
        key: Hashable = (self.rule, tuple(self._trace), append_unknown)
        if key not in kept:
            kept[key] = build(self, append_unknown)
        return kept[key]

    Rule._compile_builder = build_once  # type: ignore[method-assign]


def _keep_statements() -> None:
    """A statement is compiled once for SQLite and once for PostgreSQL, not once for each test's database.

    SQLAlchemy keeps what it compiled by the dialect of its engine: ours share the first one's, and its store.
    """
    dialects: dict[str, Any] = {}
    kept: dict[str, LRUCache[Any, Any]] = {}
    create = db.create_engine

    @functools.wraps(create)
    def create_sharing(url: Any, **options: Any) -> Engine:
        engine = create(url, **options)
        engine.dialect = dialects.setdefault(engine.name, engine.dialect)
        engine._compiled_cache = kept.setdefault(engine.name, LRUCache(4000))
        return engine

    db.create_engine = create_sharing


def _hash_lightly() -> None:
    """Passwords are hashed as the service does it, with as little work as argon2id allows.

    `tests/web/test_auth.py` looks at the work that the service asks for.
    """
    staff._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    staff._UNKNOWN = staff._hasher.hash("nobody's")
