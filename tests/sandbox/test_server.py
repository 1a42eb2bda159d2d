"""The stand-in as it is really run: granian in a process of its own, under the load of a campaign, and its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
import requests
from sendgrid import SendGridAPIClient
from twilio.rest import Client

from service.config import ROOT, Settings
from tests.platform.waiting import wait_until
from tests.sandbox.standin import ACCOUNT, API_KEY, OURS, TOKEN, Service, request_body

TEXTS, MAILS = 2000, 2000


@pytest.fixture
def running(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`python -m service.sandbox` on a free port: (address, process)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    named = settings.model_dump(include=set(settings.model_fields_set))
    environ = {name.upper(): str(value) for name, value in named.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "service.sandbox"],
        cwd=tmp_path,
        env=os.environ | environ | {"SANDBOX_PORT": str(port), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while True:
        try:
            assert requests.get(url, timeout=2).status_code == 200
            break
        except requests.ConnectionError:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline, "it never answered"
            time.sleep(0.1)
    yield url, process
    if process.poll() is None:
        process.kill()
    process.wait(10)
    assert process.stderr
    process.stderr.close()
    wait_until(lambda: not answers(url), 5)  # its worker never outlives it, not even a kill -9


def answers(url: str) -> bool:
    """Whether anything listens there."""
    try:
        requests.get(url, timeout=2)
    except requests.ConnectionError:
        return False
    return True


def test_killed_it_leaves_nothing_behind(running: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, process = running
    assert answers(url)
    process.kill()
    wait_until(lambda: not answers(url), 5)


@pytest.mark.slow
def test_a_campaign_on_both_channels_arrives_and_every_callback_too(
    running: tuple[str, subprocess.Popen[bytes]], service: Service
) -> None:
    url, process = running
    requests.post(f"{url}/sandbox/api/switches", json={"repeats": 0.1, "disorder": 0.2}, timeout=5).raise_for_status()
    phones = [f"+1212{5550000 + i}" for i in range(TEXTS)]

    def text(numbers: list[str]) -> None:
        client = Client(ACCOUNT, TOKEN)
        client.api.base_url = url
        for number in numbers:
            client.messages.create(
                to=number,
                from_=OURS,
                body="A story",
                status_callback=f"{service.url}/status?d={number[1:]}#rc=5&rp=all",
            )

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(text, [phones[i::8] for i in range(8)]))
    boxes = [f"m{i}@members.example" for i in range(MAILS)]
    client = SendGridAPIClient(API_KEY, host=url)
    for i in range(0, MAILS, 1000):
        client.client.mail.send.post(request_body=request_body(*boxes[i : i + 1000]))
    taken = time.monotonic() - begun
    assert taken < 30, f"{TEXTS} texts and {MAILS} mails took {taken:.0f} s"

    def told() -> set[tuple[str, str]]:
        return {(post.form["To"], post.form["MessageStatus"]) for post in service.to("/status")}

    def reported() -> set[tuple[str, str]]:
        return {(event["email"], event["event"]) for event in service.events(0)}

    wait_until(lambda: told() == set(product(phones, ("sent", "delivered"))), 40)
    wait_until(lambda: reported() == set(product(boxes, ("processed", "delivered"))), 40)
    assert all(post.signed for post in service.posts)
    assert len(service.to("/status")) > 2 * TEXTS  # some came twice, as the vendor's do
    counts = requests.get(f"{url}/sandbox/api/counts", timeout=10).json()
    assert counts["texts"] == dict.fromkeys(phones, 1)
    assert counts["mails"] == dict.fromkeys(boxes, 1)
    assert requests.get(f"{url}/", timeout=5).elapsed.total_seconds() < 2

    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr
    assert b"Traceback" not in process.stderr.read()
