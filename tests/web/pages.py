"""Reading and sending forms as a person's browser would, for the tests of pages."""

import re
from html import unescape
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "a lamp in the kitchen window"


def form_token(page: TestResponse) -> str:
    """The CSRF token of the first form on a page."""
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page.text)
    assert found, f"no form token on {page.request.path} ({page.status_code})"
    return unescape(found[1])


def submit(client: FlaskClient, path: str, data: dict[str, object], *, to: str | None = None) -> TestResponse:
    """Open the page at `path` and send its form with `data` (to `to`, if the form goes elsewhere)."""
    return client.post(to or path, data={"csrf_token": form_token(client.get(path)), **data})


def path_of(url: str) -> str:
    """The path of a full address."""
    return urlsplit(url).path
