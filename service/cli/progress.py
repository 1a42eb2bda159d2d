"""A progress bar for whoever watches: drawn on stderr at a terminal, silent everywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Moved = Callable[[str, int, int], None]


@contextmanager
def bar(unit: str) -> Iterator[Moved]:
    """A bar that is moved by calling what is given with (what is being done, how much is done, of how much)."""
    with tqdm(unit=f" {unit}s", disable=None, leave=False, dynamic_ncols=True) as drawn:

        def moved(what: str, done: int, total: int) -> None:
            drawn.set_description(what, refresh=False)
            drawn.total = max(total, done)
            drawn.n = done
            drawn.refresh()

        yield moved
