"""The API: a key or nothing, strict bodies, the same rules as everywhere, and a document that is true."""

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from service import db
from service.actions import api_keys

ADA = {
    "first_name": "Ada", "phone": "+12025550123", "country": "US", "timezone": "America/New_York",
    "consented_at": "2026-01-05T10:00:00+00:00", "consent_source": "paper form",
}  # fmt: skip


@pytest.fixture
def key(database: db.Database) -> dict[str, str]:
    return {"Authorization": "Bearer " + api_keys.add("tests")}


def test_nothing_without_a_live_key(client: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Bearer hlk_wrong"}, {"Authorization": "Basic abc"}):
        answer = client.get("/api/v1/members", headers=headers)
        assert answer.status_code == 401
        assert answer.json is not None
        assert answer.json["error"]["code"] == "not_signed_in"


def test_a_key_without_the_scope_cannot_write(client: FlaskClient) -> None:
    reader = {"Authorization": "Bearer " + api_keys.add("reader", ("read",))}
    assert client.get("/api/v1/members", headers=reader).status_code == 200
    assert client.post("/api/v1/members", json=ADA, headers=reader).status_code == 401


def test_a_member_is_added_found_masked_and_stopped(client: FlaskClient, key: dict[str, str]) -> None:
    made = client.post("/api/v1/members", json=ADA, headers=key)
    assert made.status_code == 201, made.text
    body = made.get_json()
    assert body["state"] == "active"
    assert body["addresses"] == {"sms": "+1 ••• ••• 0123"}
    again = client.post("/api/v1/members", json=ADA, headers=key)
    assert again.status_code == 409
    assert again.get_json()["error"]["code"] == "known"
    stopped = client.post(f"/api/v1/members/{body['id']}/stop", json={"how": "told our helpline"}, headers=key)
    assert stopped.get_json()["state"] == "left"


def test_an_unknown_field_is_an_error_that_names_it(client: FlaskClient, key: dict[str, str]) -> None:
    answer = client.post("/api/v1/members", json=ADA | {"fone": "1"}, headers=key)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["field"] == "fone"


def test_a_campaign_is_drafted_and_started(client: FlaskClient, key: dict[str, str]) -> None:
    client.post("/api/v1/members", json=ADA, headers=key)
    draft = {"name": "Hello", "kind": "checkin", "contents": [{"channel": "sms", "body": "How are you, {{ name }}?"}]}
    made = client.post("/api/v1/campaigns", json=draft, headers=key).get_json()
    refused = client.post(f"/api/v1/campaigns/{made['id']}/start", json={}, headers=key)
    assert refused.status_code == 422
    assert "name" in refused.get_json()["error"]["message"]
    draft["contents"] = [{"channel": "sms", "body": "How are you, {{ first_name }}?"}]
    made = client.post("/api/v1/campaigns", json=draft, headers=key).get_json()
    assert client.post(f"/api/v1/campaigns/{made['id']}/start", json={}, headers=key).get_json()["state"] == "scheduled"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_document_is_true(app: Flask, key: dict[str, str]) -> None:
    """Whatever fits the document is answered as the document says, and never with a 500."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)

    limits = hypothesis_settings(
        max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 10

    for operation in operations:

        @limits
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            case.headers.update(key)
            answer = case.call()
            assert answer.status_code < 500, (case.method, case.path, answer.text)

        holds()
