"""A child for the supervisor's tests: `python -m children KIND FOLDER NAME`. It notes what happens to it in files."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType


def main(kind: str, folder: Path, name: str) -> None:
    """Live as `kind` says: good ends on SIGTERM, stubborn ignores it, crash fails at once, parent has a child."""

    def note(event: str) -> None:
        with (folder / "events").open("a") as file:
            file.write(f"{event} {name} {os.getpid()}\n")

    def end(_: int, __: FrameType | None) -> None:
        time.sleep(0.1)
        note("end")
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "stubborn" else end)
    note("start")
    print(f"hello from {name}", flush=True)
    if kind == "crash":
        sys.exit(3)
    if kind == "parent":
        idler = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with (folder / "events").open("a") as file:
            file.write(f"start grandchild {idler.pid}\n")
    while True:
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
