"""The query plans of a claim on a large table: the statements that a claim really runs, explained by the database.

Most of the table is campaigns that are over, as in a community of years; one campaign waits. The table is made by the
product's own freeze.
"""

import re
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, event, func, select, text

from service import clock, db
from service.actions import campaigns
from service.actions.delivery import claims
from service.actions.seeding import past
from service.bench.figures import Figure, Plan
from service.bench.sending import compose
from service.bench.world import World
from service.models.campaigns import Delivery
from service.models.members import ChannelName

BATCH = 500
TIMES = 20
DAYS_APART = timedelta(days=4)
MANY = re.compile(r"'\{[\d,]{30,}\}'")
"""A list of ids in a plan."""


def measure(world: World) -> list[Figure]:
    """Milliseconds of a claim beside a bare look at the index; `world.plans` gets the plans of its statements."""
    world.people(in_all=world.sizes.growth[-1])
    rows = _history(world)
    if world.waiting is None:
        world.waiting = compose(ChannelName.SMS)
        rows += campaigns.freeze(world.waiting)
    world.tell("claiming", 0, 1)
    _analyse(world)
    claims.give_back(claims.claim("texts", BATCH).claimed)
    taken = _statements(BATCH)
    with db.reading() as session:
        bare = _bare(session.connection(), taken[0])
    with db.current().engine.connect() as connection:  # what is explained is done, too: nothing of it is kept
        world.plans += [Plan(world.database, rows, *_explained(connection, one)) for one in taken]
        connection.rollback()
    began = time.perf_counter()
    held = [claims.claim("texts", BATCH) for _ in range(TIMES)]
    claim_ms = 1000 * (time.perf_counter() - began) / TIMES
    for batch in held:
        claims.give_back(batch.claimed)
    what = f"claim of {BATCH} from {rows:,}"
    note = f"{held[0].examined} examined, {len(held[0].claimed)} claimed"
    beside = "the SELECT of what is due"
    return [Figure("plans", world.database, what, claim_ms, "ms", beside, bare, at_least=False, note=note)]


def _history(world: World) -> int:
    """Freeze campaigns and record them as delivered, days ago, until the table has its rows; how many it has."""
    have = _rows()
    wanted = world.sizes.deliveries - (0 if world.waiting else world.sizes.growth[-1])
    while have < wanted:
        world.tell("making a history", have, wanted)
        campaign_id = compose(ChannelName.SMS)
        made = campaigns.freeze(campaign_id)
        past.deliver(campaign_id, clock.now() - (1 + (wanted - have) // made) * DAYS_APART)
        have += made
    return have


def _rows() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


def _analyse(world: World) -> None:
    """What autovacuum does within a minute of a freeze."""
    if world.database == "postgresql":
        with db.current().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE deliveries"))
            connection.execute(text("ANALYZE"))


def _statements(limit: int) -> list[tuple[str, Any]]:
    """The statements of one claim, as they were sent to the database."""
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and statement.lstrip().upper().startswith(("SELECT", "UPDATE", "WITH")):
            found.append((statement, parameters))

    engine = db.current().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        claimed = claims.claim("texts", limit).claimed
    finally:
        event.remove(engine, "before_cursor_execute", note)
    claims.give_back(claimed)
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
    return _source(statement), [MANY.sub("'{…}'", str(row[0]))[:160] for row in rows]


def _indented(rows: Any) -> list[str]:
    """SQLite's plan as it prints it: each step below the one that it belongs to."""
    depth: dict[int, int] = {0: -1}
    lines = []
    for id_, parent, _, detail in rows:
        depth[id_] = depth.get(parent, -1) + 1
        lines.append("  " * depth[id_] + str(detail))
    return lines


def _source(statement: str) -> str:
    """Where a statement reads from (its own FROM, not one of a query inside it), or what it changes."""
    if statement.lstrip().upper().startswith("UPDATE"):
        return " ".join(statement.split()[:2])
    depth = 0
    words = re.findall(r"[()]|[^\s()]+", statement)
    for word, following in pairwise(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word == "FROM":
            return f"FROM {following}"
    return statement[:60]
