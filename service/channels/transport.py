"""One kept HTTP connection on libcurl, beneath the vendors' own clients.

What a sender must know above all is whether a request can have left: then sending it again may double a message.
"""

import base64
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pycurl

from service import clock

CONNECT_TIMEOUT = 5.0
"""Seconds for name, connection and TLS together; a request's own time-out may be shorter."""


class Unsent(Exception):
    """The request never left: no name, no connection, no TLS. Sending it again is safe. `code` is libcurl's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"libcurl {code}")
        self.code = code


class Interrupted(Exception):
    """The request left, at least in part, and no whole answer came. `code` is libcurl's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"libcurl {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer; the names of the headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One libcurl handle, which keeps its connection open between requests. Belongs to one thread."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._method = ""
        self._body = b""
        self._offset = 0
        self._set: dict[str, object] = {}
        self._head: list[bytes] = []
        self._parts: list[bytes] = []
        self._curl = pycurl.Curl()
        self._set_up()

    def _set_up(self) -> None:
        curl = self._curl
        curl.setopt(pycurl.NOSIGNAL, 1)  # a signal would hit whichever thread is running
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)  # no streams that libcurl may replay
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.MAXAGE_CONN, 15)  # idle connections are dropped before the other side drops them
        curl.setopt(pycurl.UPLOAD_BUFFERSIZE, 512 * 1024)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._parts.append)
        curl.setopt(pycurl.READFUNCTION, self._read)
        if os.environ.get("HEARTHLINE_LOOPBACK_ONLY") == "1":
            curl.setopt(pycurl.OPENSOCKETFUNCTION, loopback_socket)

    def _read(self, size: int) -> bytes:
        """Hand libcurl the next part of the body.

        The body comes through a callback that cannot rewind, on purpose: when a kept connection closes before the
        answer, libcurl would otherwise quietly send the same request again on a new one, and a text would go twice.
        """
        part = self._body[self._offset : self._offset + size]
        self._offset += len(part)
        return part

    @property
    def handle(self) -> Any:
        """The libcurl handle, for whoever drives several at once (`wire`). A new one after each error."""
        return self._curl

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", timeout: float | None = None
    ) -> Reply:
        """Make one request and return the whole answer, whatever its status. Raises Unsent or Interrupted.

        `timeout` is in seconds, for everything from the name to the last byte.
        """
        self.prepare(method, url, headers, body, timeout)
        try:
            self._curl.perform()
        except pycurl.error as error:
            return self.answer(error.args[0])
        return self.answer()

    def prepare(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", timeout: float | None = None
    ) -> None:
        """Make everything ready for one request; then its handle is performed, and `answer` tells what came of it."""
        self._head.clear()
        self._parts.clear()
        self._method, self._body, self._offset = method, body, 0
        self._prepare(method, url, timeout or self._timeout)
        if method == "POST":
            self._curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        if self._set.get("headers") != headers:
            self._set["headers"] = dict(headers)
            lines = [f"{name}: {value}" for name, value in headers.items()]
            self._curl.setopt(pycurl.HTTPHEADER, [*lines, "Expect:"])

    def answer(self, failed: int | None = None) -> Reply:
        """The answer of a request that has ended. Raises Unsent or Interrupted if it `failed` (with libcurl's code)."""
        if failed is not None:
            self._renew()
            raise (Interrupted if self._may_have_left(self._method) else Unsent)(failed)
        return Reply(self._curl.getinfo(pycurl.RESPONSE_CODE), _parse_head(self._head), b"".join(self._parts))

    def _prepare(self, method: str, url: str, seconds: float) -> None:
        """Set what differs from the request before: most follow one that was just like them."""
        curl, host = self._curl, url[: url.find("/", 9)]
        if self._set.get("url") != url:
            curl.setopt(pycurl.URL, url)
        if self._set.get("seconds") != seconds:
            curl.setopt(pycurl.TIMEOUT_MS, int(seconds * 1000))
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(min(seconds, CONNECT_TIMEOUT) * 1000))
        if self._set.get("host") != host:
            curl.setopt(pycurl.PROXY, "") if is_loopback(url) else curl.unsetopt(pycurl.PROXY)
        if self._set.get("method") != method:
            curl.unsetopt(pycurl.CUSTOMREQUEST)
            curl.setopt(pycurl.POST if method == "POST" else pycurl.HTTPGET, 1)
            if method not in ("GET", "POST"):
                curl.setopt(pycurl.CUSTOMREQUEST, method)
        self._set |= {"seconds": seconds, "host": host, "method": method, "url": url}

    def _may_have_left(self, method: str) -> bool:
        """A POST is nothing to the other side before its body, and libcurl takes the body only when connected."""
        return self._offset > 0 if method == "POST" else True

    def _renew(self) -> None:
        """Start with a new handle after an error, so that nothing late can be taken for the next answer."""
        self._curl.close()
        self._curl = pycurl.Curl()
        self._set = {}
        self._set_up()

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()


_FORM = {n: chr(n) if chr(n).isascii() and (chr(n).isalnum() or chr(n) in "_.-~") else f"%{n:02X}" for n in range(256)}
_FORM[ord(" ")] = "+"


def form(data: Mapping[str, object]) -> bytes:
    """A form body, as `urllib.parse.urlencode` makes it and several times as fast; a list gives its name repeatedly."""
    pairs = ((name, one) for name, value in data.items() for one in (value if isinstance(value, list) else [value]))
    encoded = (f"{name}={str(one).encode().decode('latin-1').translate(_FORM)}" for name, one in pairs)
    return "&".join(encoded).encode()


@lru_cache(maxsize=64)
def basic_auth(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def retry_after(headers: dict[str, str]) -> float | None:
    """The seconds of a Retry-After header, given as seconds or as a date; None without one that can be read."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return None


def _parse_head(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers.clear()  # what came before belongs to a 1xx or a proxy
            continue
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    return headers


@lru_cache(maxsize=1024)
def _is_loopback_host(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    return _is_loopback_host(urlsplit(url).hostname or "")


def loopback_socket(_purpose: int, address: Any) -> Any:
    """Open sockets to this machine only; the tests set this, because libcurl passes by Python's sockets."""
    if address.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback_host(address.addr[0]):
        return pycurl.SOCKET_BAD
    return socket.socket(address.family, address.socktype, address.protocol)
