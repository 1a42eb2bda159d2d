"""Helpers for the tests of the stand-in: a service that it can knock at, and short words for its control API."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from flask import Flask
from twilio.request_validator import RequestValidator
from werkzeug.serving import make_server

from service.config import Settings
from service.sandbox import keys

ACCOUNT = "AC" + "0a" * 16
TOKEN = "a-token-of-the-tests"
API_KEY = "SG.tests"
OURS = "+15005550006"


@dataclass
class Post:
    """One request that reached the service."""

    path: str
    headers: dict[str, str]
    body: bytes
    signed: bool
    answered: int

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body))

    @property
    def parts(self) -> dict[str, tuple[str | None, bytes]]:
        """Multipart fields: name → (file name, bytes)."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        return {
            str(part.get_param("name", header="content-disposition")): (
                part.get_filename(),
                part.get_payload(decode=True),
            )
            for part in message.iter_parts()
        }


@dataclass
class Service:
    """The service of the tests: keeps what it is sent and answers what it is told to."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Path → the (status, body) of its next answers; then 204 again."""
    settings: Settings | None = None
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def to(self, path: str) -> list[Post]:
        with self.arrived:
            return [post for post in self.posts if post.path.split("?")[0] == path]

    def wait(self, path: str, count: int = 1, seconds: float = 8.0) -> list[Post]:
        """The posts to `path`, once there are `count` of them."""
        deadline = time.monotonic() + seconds
        with self.arrived:
            while len(found := [p for p in self.posts if p.path.split("?")[0] == path]) < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"{len(found)} of {count} posts reached {path}: {[p.path for p in self.posts]}"
                    )
                self.arrived.wait(left)
            return found

    def events(self, count: int, seconds: float = 8.0) -> list[dict[str, Any]]:
        """Every event that has arrived, once there are `count`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            got = [e for post in self.to("/webhooks/sendgrid/events") if post.answered < 300 for e in post.events]
            if len(got) >= count:
                return got
            time.sleep(0.03)
        raise AssertionError(f"{len(got)} of {count} events: {got}")


def signature_holds(settings: Settings, url: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Check a post as a careful receiver would: with twilio's own validator, with cryptography for SendGrid."""
    if given := headers.get("X-Twilio-Signature"):
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return bool(RequestValidator(TOKEN).validate(url + path, form, given))
    if given := headers.get("X-Twilio-Email-Event-Webhook-Signature"):
        events, inbound = keys.ensure(settings.data_path)
        public = load_der_public_key(base64.b64decode(inbound if path.endswith("/inbound") else events))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        stamp = headers["X-Twilio-Email-Event-Webhook-Timestamp"].encode()
        try:
            public.verify(base64.b64decode(given), stamp + body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True
    return False


@contextmanager
def listening() -> Iterator[Service]:
    """A Service on a free loopback port."""
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = dict(self.headers.items())
            assert told.settings is not None
            signed = signature_holds(told.settings, told.url, self.path, headers, body)
            with told.arrived:
                queued = told.answers.get(self.path.split("?")[0])
                status, text = queued.pop(0) if queued else (204, "")
                told.posts.append(Post(self.path, headers, body, signed, status))
                told.arrived.notify_all()
            out = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


@dataclass
class Standin:
    """The running stand-in: its address, its app, and short words for its control API."""

    url: str
    app: Flask

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/sandbox/api/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())

    def get(self, path: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/sandbox/api/{path}", timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())

    def provoke(self, kind: str, channel: str, **more: Any) -> None:
        self.post("provoke", kind=kind, channel=channel, **more)

    def texts(self, phone: str) -> list[dict[str, Any]]:
        return list(self.get(f"messages?to={phone.replace('+', '%2B')}")["messages"])

    def mails(self, box: str) -> list[dict[str, Any]]:
        return list(self.get(f"mail?to={box}")["mail"])


def serving(app: Flask) -> tuple[str, Callable[[], None]]:
    """Serve an app on a free loopback port: (address, stop)."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        app.extensions["sandbox_dispatcher"].stop()
        app.extensions["sandbox"].close()

    return f"http://127.0.0.1:{server.server_port}", stop


def request_body(*people: str, **changes: Any) -> dict[str, Any]:
    """A mail/send request for these addresses; `changes` replace or (None) remove parts of it."""
    body: dict[str, Any] = {
        "personalizations": [
            {
                "to": [{"email": email, "name": f"Name {i}"}],
                "substitutions": {"-name-": f"N{i}", "-token-": f"tok{i}"},
                "custom_args": {"delivery": f"d{i}"},
                "headers": {
                    "List-Unsubscribe": "<https://never.example/u/-token->",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
            }
            for i, email in enumerate(people)
        ],
        "from": {"email": "hello@circle.example", "name": "Hearthline"},
        "reply_to": {"email": "reply+-token-@reply.circle.example"},
        "subject": "A story for -name-",
        "custom_args": {"request_id": "r1"},
        "content": [
            {"type": "text/plain", "value": "Hello -name-, one line."},
            {"type": "text/html", "value": "<p>Hello <b>-name-</b></p>"},
        ],
    } | changes
    return {key: value for key, value in body.items() if value is not None}
