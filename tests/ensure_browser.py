"""Prints the path of a Chromium that works, after installing one if need be; nothing, loudly, if there is no way.

In this order: one that is there, Debian's by apt where this runs as root, Playwright's own.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def existing() -> str | None:
    """The path of a browser that is there and starts: CHROMIUM if set, else one on the PATH, else Playwright's."""
    places = (lambda: os.environ.get("CHROMIUM"), *(partial(shutil.which, name) for name in NAMES), lambda: _MAC)
    return next((path for place in (*places, _playwrights) if (path := place()) and _works(path)), None)


def ensure() -> str | None:
    """The path of a browser, installed now if none was there; None if that failed."""
    for attempt in (existing, _from_debian, _from_playwright):
        if path := attempt():
            return path
    return None


def _from_debian() -> str | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    say("Installing Debian's chromium for the browser tests …")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = _run(["apt-get", "update", "-qq"], quiet) and _run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"], quiet
    )
    return existing() if done else None


def _from_playwright() -> str | None:
    say("Installing Playwright's chromium for the browser tests …")
    return existing() if _run([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ)) else None


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _works(path: str) -> bool:
    return bool(shutil.which(path)) and _run([path, "--version"], dict(os.environ), timeout=30)


def _run(command: Sequence[str], environment: dict[str, str], timeout: float = 900) -> bool:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"{command[0]}: {error}")
        return False
    if done.returncode:
        say("\n".join((done.stdout + done.stderr).splitlines()[-5:]))
    return done.returncode == 0


def say(text: str) -> None:
    """Speak to the person, not to whoever reads the path."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Print the path for `make test`."""
    if path := ensure():
        print(path)
        return
    say("\n" + "!" * 78)
    say("!! No Chromium could be found or installed: THE BROWSER TESTS WILL BE SKIPPED.")
    say("!! Install chromium, or set CHROMIUM to the path of one, and run `make test` again.")
    say("!" * 78 + "\n")


if __name__ == "__main__":
    main()
