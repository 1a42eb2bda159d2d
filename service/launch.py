"""Starts one child of the supervisor, and sees to it that it never outlives it: `python -P -m service.launch MODULE …`.

A supervisor that is killed with `kill -9` cannot stop its children, so each child watches for that itself.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

PARENT = "HEARTHLINE_PARENT"
"""The environment variable that holds the supervisor's process id."""
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process sent SIGTERM when its parent, whose id is `parent`, ends in whatever way.

    On Linux the kernel does it, and it holds through `exec`; elsewhere a thread looks four times a second.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()
    if os.getppid() != parent:  # it ended before we had asked
        sys.exit(0)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.25)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the module named by the first argument as `python -m` would, with the arguments after it."""
    if parent := os.environ.get(PARENT):
        die_with(int(parent))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
