"""The wheel, installed in a clean environment and started from another folder, has all that it needs."""

import os
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from service.config import ROOT
from tests.platform.test_demo import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would be."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def hearthline(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command. The environment is clean but for the libraries, which it borrows from this one."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", wheel], check=True)
    where = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    # A plain path, so that no .pth file there is read: an editable install of this very project would be found.
    Path(where.strip(), "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "hearthline"


def test_the_wheel_holds_what_is_not_code(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for kind in ("templates/", "service/migrations/versions/", "service/static/css/"):
        assert any(name.startswith(kind) for name in names), kind
    tracked = subprocess.check_output(
        ["git", "ls-files", "service", "workers", "templates", "wsgi.py"], cwd=ROOT, text=True
    )
    assert set(tracked.split()) <= set(names), set(tracked.split()) - set(names)
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_it_starts_from_another_folder(hearthline: Path, tmp_path: Path) -> None:
    # A folder called like one of our packages must not take its place.
    for name in ("service", "workers", "templates"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path / "var"),
        "PORT": str(port),
        "TWILIO_API_URL": "http://127.0.0.1:9",
        "SENDGRID_API_URL": "http://127.0.0.1:9",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "1" * 32,
        "TWILIO_FROM": "+15005550006",
        "SENDGRID_API_KEY": "SG.for-tests",
        "SENDGRID_FROM": "hello@hearthline.example",
    }
    located = subprocess.check_output(
        [hearthline.with_name("python"), "-P", "-c", "import service; print(service.__file__)"], cwd=tmp_path, text=True
    )
    assert Path(located.strip()).is_relative_to(hearthline.parent.parent)

    migrated = subprocess.run(
        [hearthline, "db", "upgrade"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert migrated.returncode == 0, migrated.stderr
    with subprocess.Popen([hearthline, "web"], cwd=tmp_path, env=environment) as web:
        try:
            assert b"ok" in page(f"http://127.0.0.1:{port}/healthz", patience=30)
            assert b'"database":"up"' in page(f"http://127.0.0.1:{port}/readyz").replace(b" ", b"")
            signing_in = page(f"http://127.0.0.1:{port}/console/sign-in")
            assert b"<form" in signing_in
            style = signing_in.split(b'rel="stylesheet"')[1].split(b'href="')[1].split(b'"')[0].decode()
            assert b"{" in page(f"http://127.0.0.1:{port}{style}")
        finally:
            web.terminate()
    assert web.returncode == 0


def page(address: str, patience: float = 0) -> bytes:
    """The body at `address`, which may need `patience` seconds to start."""
    until = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # our own
                return bytes(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
