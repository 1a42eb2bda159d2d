"""Posts to the service, and to nothing beyond this machine: kept connections, one curl handle per thread."""

import io
import ipaddress
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import pycurl

from service.config import Settings

CONNECT_SECONDS = 5
READ_SECONDS = 15
"""Twilio waits 5 s for a connection and 15 s for an answer."""
_thread = threading.local()


@dataclass(frozen=True)
class Answer:
    """`status` 0: no answer, and then `failure` says why: connect, read, or elsewhere (not on this machine)."""

    status: int
    body: bytes = b""
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was a 2xx."""
        return 200 <= self.status < 300


def post(settings: Settings, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """POST and return the Answer; redirects are not followed. Never raises for what the other side does."""
    target = on_this_machine(settings, url)
    if target is None:
        return Answer(0, failure="elsewhere")
    curl = _handle()
    out = io.BytesIO()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    curl.setopt(pycurl.URL, target)
    curl.setopt(pycurl.HTTPHEADER, [*lines, f"Host: {urlsplit(url).netloc}", "Expect:"])
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.WRITEDATA, out)
    try:
        curl.perform()
    except pycurl.error as error:
        before_sending = error.args[0] in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST)
        return Answer(0, failure="connect" if before_sending else "read")
    return Answer(curl.getinfo(pycurl.RESPONSE_CODE), out.getvalue())


def _handle() -> pycurl.Curl:
    """This thread's handle, which keeps its connections between posts."""
    curl: pycurl.Curl | None = getattr(_thread, "curl", None)
    if curl is None:
        curl = _thread.curl = pycurl.Curl()
        curl.setopt(pycurl.CONNECTTIMEOUT, CONNECT_SECONDS)
        curl.setopt(pycurl.TIMEOUT, CONNECT_SECONDS + READ_SECONDS)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")  # a proxy would carry a member's words off this machine
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
    return curl


def on_this_machine(settings: Settings, url: str) -> str | None:
    """Where to connect for `url`: itself if it is a loopback address; the service's own port if it is PUBLIC_URL.

    None for anything else: the stand-in promises that nothing leaves this machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None
    if host == "localhost" or _is_loopback(host):
        return urlunsplit(parts._replace(fragment=""))
    base = urlsplit(settings.base_url)
    if (parts.scheme, host, port) != (base.scheme, base.hostname, base.port):
        return None
    bind = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host  # noqa: S104
    netloc = f"[{bind}]:{settings.port}" if ":" in bind else f"{bind}:{settings.port}"
    return urlunsplit(("http", netloc, parts.path, parts.query, ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
