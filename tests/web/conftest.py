"""Browsers for the tests of pages, signed in in any role."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.actions import staff
from service.models.staff import Role
from tests.web.pages import PASSWORD, path_of, submit

Enter = Callable[..., FlaskClient]


@pytest.fixture
def enter(app: Flask) -> Enter:
    """`enter("admin")`: a browser that is signed in, in a role; `email=` for a second person."""

    def signed_in(role: str = "coordinator", email: str | None = None, name: str = "Ana Whitcombe") -> FlaskClient:
        client = app.test_client()
        link = staff.add_coordinator(email or f"{role}@example.org", Role(role), name)
        answer = submit(client, path_of(link), {"password": PASSWORD, "time_zone": "Europe/London"})
        assert answer.status_code == 302, answer.text
        return client

    return signed_in


@pytest.fixture
def console(enter: Enter) -> FlaskClient:
    """A browser that is signed in as a coordinator."""
    return enter("coordinator")
