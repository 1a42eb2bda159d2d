"""Addresses of style sheets and scripts: ours from `static/`, others' from the packages that ship them, never copied.

Each address carries a fingerprint of the file's content, so that browsers may keep it for a year.
"""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, abort, send_file, url_for

from service.config import STATIC

YEAR = 365 * 24 * 3600
_VENDORED = {
    "bootstrap.min.css": ("flask_bootstrap", "static/bootstrap5/css/bootstrap.min.css"),
    "htmx.min.js": ("js_lib_htmx", "static/htmx/htmx.min.js"),
}

bp = Blueprint("vendor", __name__, url_prefix="/vendor")


@bp.get("/<name>")
def file(name: str) -> Response:
    """One file of an installed package, by its name in the table above."""
    if name not in _VENDORED:
        abort(404)
    return send_file(vendor_path(name), max_age=YEAR)


@lru_cache
def vendor_path(name: str) -> Path:
    """Where the installed package keeps `name`. Raises LookupError when the package is missing."""
    package, inside = _VENDORED[name]
    spec = find_spec(package)  # found without importing: one of them is a Django app
    if spec is None or spec.origin is None:
        raise LookupError(f"the package {package} is not installed")
    return Path(spec.origin).parent / inside


def asset(name: str) -> str:
    """The address of `service/static/<name>` with its fingerprint."""
    return url_for("static", filename=name, v=_fingerprint(STATIC / name))


def vendor(name: str) -> str:
    """The address of another package's file with its fingerprint."""
    return url_for("vendor.file", name=name, v=_fingerprint(vendor_path(name)))


def _fingerprint(path: Path) -> str:
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
