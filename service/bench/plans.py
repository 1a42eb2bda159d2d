"""The query plans of a claim on a large table: the statements that a claim really runs, explained by the database."""

import re
import time
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, event, func, select, text

from service import db
from service.actions import campaigns
from service.actions.delivery import claims
from service.bench.figures import Figure, Plan
from service.bench.sending import compose
from service.bench.world import World
from service.models.campaigns import Delivery
from service.models.members import ChannelName

BATCH = 500
TIMES = 20


def measure(world: World) -> list[Figure]:
    """Milliseconds of a claim beside a bare look at the index; the plans of its SELECTs are left in `world.plans`."""
    campaign_id = world.waiting
    if campaign_id is None:
        world.people(in_all=world.sizes.growth[-1])
        world.tell("freezing", 0, 1)
        campaign_id = world.waiting = compose(ChannelName.SMS)
        campaigns.freeze(campaign_id)
    world.tell("claiming", 0, 1)
    if world.database == "postgresql":
        with db.current().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # what autovacuum does within a minute of the freeze
    claims.claim("texts", BATCH)
    began = time.perf_counter()
    held = [claims.claim("texts", BATCH) for _ in range(TIMES)]
    claim_ms = 1000 * (time.perf_counter() - began) / TIMES
    taken = _statements(BATCH)
    with db.reading() as session:
        rows = session.scalar(select(func.count()).select_from(Delivery)) or 0
        bare = _bare(session.connection(), taken[0])
        world.plans += [Plan(world.database, rows, *_explained(session.connection(), one)) for one in taken]
    for batch in held:
        claims.give_back(batch.claimed)
    what = f"claim of {BATCH} from {rows:,}"
    note = f"{held[0].examined} examined, {len(held[0].claimed)} claimed"
    beside = "the SELECT of what is due"
    return [Figure("plans", world.database, what, claim_ms, "ms", beside, bare, at_least=False, note=note)]


def _statements(limit: int) -> list[tuple[str, Any]]:
    """The SELECTs of one claim, as they were sent to the database."""
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            found.append((statement, parameters))

    engine = db.current().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        claims.give_back(claims.claim("texts", limit).claimed)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return found


def _bare(connection: Connection, taken: tuple[str, Any]) -> float:
    """Milliseconds of the first SELECT alone."""
    began = time.perf_counter()
    for _ in range(TIMES):
        connection.exec_driver_sql(*taken).all()
    return 1000 * (time.perf_counter() - began) / TIMES


def _explained(connection: Connection, taken: tuple[str, Any]) -> tuple[str, list[str]]:
    statement, parameters = taken
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        return _source(statement), _indented(rows)
    rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) {statement}", parameters).all()
    return _source(statement), [str(row[0])[:160] for row in rows]


def _indented(rows: Any) -> list[str]:
    """SQLite's plan as it prints it: each step below the one that it belongs to."""
    depth: dict[int, int] = {0: -1}
    lines = []
    for id_, parent, _, detail in rows:
        depth[id_] = depth.get(parent, -1) + 1
        lines.append("  " * depth[id_] + str(detail))
    return lines


def _source(statement: str) -> str:
    """Where a statement reads from: its own FROM, not one of a query inside it."""
    depth = 0
    words = re.findall(r"[()]|[^\s()]+", statement)
    for word, following in pairwise(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word == "FROM":
            return f"FROM {following}"
    return statement[:60]
