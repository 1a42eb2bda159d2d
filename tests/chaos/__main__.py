"""`make chaos`: plays many random schedules and prints the seed of each; `make chaos ARGS="--seed 7"` plays one again.

Beside them the engine's state machine is driven through many more random orders than in `make test`.
"""

import argparse
import os
import random
import sys
import time

import pytest
from tqdm import tqdm

from tests.chaos.schedules import DATABASES, draw

FILES = ("tests/chaos/test_schedules.py", "tests/chaos/test_many_orders.py")


class Bar:
    """Shows how far it is, and tells the seed of whatever failed at once."""

    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds
        self.failed: list[str] = []
        self.took: list[float] = []
        self._bar = tqdm(total=len(seeds), unit="schedule", file=sys.stderr)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        return (report.outcome, "", "") if report.when == "call" else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)
            self._bar.write(f"FAILED {report.nodeid}", file=sys.stderr)
        if report.when == "call" and "test_schedules" in report.nodeid:
            self.took.append(report.duration)
            self._bar.update()

    def close(self) -> None:
        self._bar.close()


def main() -> int:
    """Returns pytest's exit status."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--schedules", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--seed", type=int, action="append", help="play this one again; may be repeated")
    parser.add_argument("--from-seed", type=int, help="the seed of the first; the others count on from it")
    parser.add_argument("--database", choices=DATABASES, help="one for all; else the seed chooses")
    parser.add_argument("--orders", type=int, default=400, help="examples of the state machine (0: none)")
    asked = parser.parse_args()
    first = asked.from_seed if asked.from_seed is not None else random.SystemRandom().randrange(1_000_000)
    seeds = asked.seed or [first + n for n in range(asked.schedules)]
    os.environ["HEARTHLINE_CHAOS"] = ",".join(map(str, seeds))
    if asked.database:
        os.environ["HEARTHLINE_CHAOS_DATABASE"] = asked.database
    os.environ["HEARTHLINE_CHAOS_ORDERS"] = str(0 if asked.seed else asked.orders)
    counts = [sum(draw(s, asked.database).database == name for s in seeds) for name in DATABASES]
    print(
        f"Seeds {seeds[0]} to {seeds[-1]}: " + ", ".join(f"{n} on {d}" for n, d in zip(counts, DATABASES, strict=True))
    )
    began, bar = time.monotonic(), Bar(seeds)
    # In a process of its own every run draws other orders; the seed printed here draws these again.
    more = ["--hypothesis-profile=default", f"--hypothesis-seed={first}"]
    status = int(pytest.main([*FILES, "--tb=short", "-p", "no:cacheprovider", *more], plugins=[bar]))
    bar.close()
    took = time.monotonic() - began
    if bar.took:
        print(f"{len(bar.took)} schedules, {len(bar.failed)} failures, {took / 60:.1f} min, "
              f"{sum(bar.took) / len(bar.took):.1f} s each, the longest {max(bar.took):.0f} s")  # fmt: skip
    for name in bar.failed:
        print(f'Play it again: make chaos ARGS="--seed {name.rpartition("-")[2].rstrip("]")}"')
    return status


if __name__ == "__main__":
    sys.exit(main())
