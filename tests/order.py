"""In which order tests run, where several processes share them."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def slow_first(items: Sequence[Item], processes: int, is_slow: Callable[[Item], bool]) -> list[Item]:
    """`items` such that each process begins with its share of the slow ones.

    `pytest -n PROCESSES --dist worksteal` cuts the list in so many equal pieces, one for each, and lets whoever is done
    take from the end of another's.
    """
    slow = [item for item in items if is_slow(item)]
    quick = iter([item for item in items if not is_slow(item)])
    ordered: list[Item] = []
    for process in range(processes):
        share = slow[process::processes]
        until = len(items) * (process + 1) // processes
        ordered += share
        ordered += islice(quick, max(0, until - len(ordered)))
    return ordered
