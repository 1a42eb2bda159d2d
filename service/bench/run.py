"""Which rows are measured, on which databases, and in which order."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from typing import Any

from service import clock
from service.bench import answers, emails, events, growth, inbound, plans, texts, webhooks
from service.bench.figures import Figure, Plan, Point
from service.bench.sizes import Sizes
from service.bench.world import Tell, World, world

TOGETHER: dict[str, Callable[[World], list[Figure]]] = {
    "texts": texts.measure,
    "slow": texts.measure_slow,
    "emails": emails.measure,
    "webhooks": webhooks.measure,
    "events": events.measure,
    "inbound": inbound.measure,
    "answers": answers.measure,
}
"""Rows that share one installation with a settled number of members."""
GROWING: dict[str, Callable[[World], list[Figure]]] = {
    "growth": growth.measure,
    "freeze": growth.freeze,
    "memory": growth.memory,
    "plans": plans.measure,
}
"""Rows on an installation of their own, which begins small and ends with everybody."""
ROWS = (*TOGETHER, *GROWING)
DATABASES = ("sqlite", "postgresql")


@dataclass
class Run:
    """Everything that one run measured."""

    machine: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "machine": self.machine,
            "figures": [figure.as_json() for figure in self.figures],
            "points": [point.as_json() for point in self.points],
            "plans": [plan.as_json() for plan in self.plans],
        }


def measure(
    rows: Sequence[str],
    databases: Sequence[str],
    sizes: Sizes,
    tell: Tell,
    *,
    url: str = "",
    peers: bool = False,
    seen: Callable[[Figure], None] = lambda _: None,
) -> Run:
    """Measure `rows` on `databases`; `seen` gets every figure as it comes.

    Raises ConfigurationError where something that is needed is missing, Unavailable where a run does not end, or
    ends with other messages than it began with.
    """
    run = Run(machine())
    for database in databases:
        for group in (TOGETHER, GROWING):
            wanted = [row for row in group if row in rows]
            if not wanted:
                continue
            with world(database, sizes, tell, url=url, peers=peers) as here:
                for row in wanted:
                    for figure in group[row](here):
                        run.figures.append(figure)
                        seen(figure)
                run.points += sorted(here.points.values(), key=lambda point: point.recipients)
                run.plans += here.plans
    return run


def machine() -> dict[str, Any]:
    """Where and when this is measured."""
    try:
        ours = version("hearthline")
    except PackageNotFoundError:  # run from a checkout that is not installed
        ours = ""
    return {
        "cores": cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "hearthline": ours,
        "date": clock.now().strftime("%Y-%m-%d"),
    }
