"""A running stand-in on a loopback port, and a service for it to knock at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sendgrid import SendGridAPIClient
from twilio.rest import Client

from service.config import Settings
from service.sandbox.app import create_sandbox
from tests.sandbox.standin import ACCOUNT, API_KEY, OURS, TOKEN, Service, Standin, listening, serving


@pytest.fixture
def service() -> Iterator[Service]:
    """An HTTP server on a loopback port that plays Hearthline."""
    with listening() as told:
        yield told


@pytest.fixture
def settings(tmp_path: Path, service: Service) -> Settings:
    """Settings in which the service is the receiver above."""
    made = Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        public_url=service.url,
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
        twilio_from=OURS,
        twilio_messaging_service_sid="",
        sendgrid_api_key=API_KEY,
        sendgrid_from="hello@circle.example",
        sendgrid_inbound_domain="reply.circle.example",
        host="127.0.0.1",
    )
    service.settings = made
    return made


@pytest.fixture
def standin(settings: Settings) -> Iterator[Standin]:
    """The stand-in without delays, repeats or disorder, unless a test asks for them."""
    app = create_sandbox(settings)
    url, stop = serving(app)
    running = Standin(url, app)
    running.post("switches", pace=0, repeats=0, disorder=0)
    yield running
    stop()


@pytest.fixture
def twilio(standin: Standin) -> Client:
    """The official client, pointed at the stand-in."""
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = standin.url
    return client


@pytest.fixture
def sendgrid(standin: Standin) -> SendGridAPIClient:
    """The official client, pointed at the stand-in."""
    return SendGridAPIClient(API_KEY, host=standin.url)
