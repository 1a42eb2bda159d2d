"""The web server with nothing behind it, as a ceiling for the webhooks: `python -P -m service.bench.empty PORT`."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from service import launch
from service.cli.run import WEB_PROCESSES, WEB_THREADS


def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Read the request and say nothing."""
    environ["wsgi.input"].read()
    start("204 No Content", [])
    return [b""]


def _load() -> Any:
    launch.die_with(os.getppid())
    return answer


def main() -> None:
    """Serve on loopback as `hearthline web` does, with as many processes and threads."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "service.bench.empty:answer", address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.WSGI,
        workers=WEB_PROCESSES, blocking_threads=WEB_THREADS, log_level=LogLevels.warning,
    ).serve(target_loader=_load, wrap_loader=False)  # fmt: skip


if __name__ == "__main__":
    main()
