"""Waiting for what another process does."""

import time
from collections.abc import Callable


def wait_until(true: Callable[[], bool], seconds: float = 15) -> None:
    """Return once `true()` is; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
