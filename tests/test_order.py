"""The slow tests come first, some to each process, and none is lost."""

import pytest

from tests.order import slow_first


def test_each_process_begins_with_its_share() -> None:
    items = ["a", "b", "SLOW", "c", "d", "SLOWER", "e", "f", "SLOWEST", "g", "h"]
    assert slow_first(items, 3, str.isupper) == ["SLOW", "a", "b", "SLOWER", "c", "d", "e", "SLOWEST", "f", "g", "h"]


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("slow", [0, 1, 4, 9])
def test_each_test_is_there_once(processes: int, slow: int) -> None:
    items = list(range(9))
    found = slow_first(items, processes, lambda item: item >= 9 - slow)
    assert sorted(found) == items
    assert [item for item in found if item < 9 - slow] == items[: 9 - slow]
