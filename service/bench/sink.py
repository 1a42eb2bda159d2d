"""A provider that swallows everything: `python -P -m service.bench.sink LATENCY_MS` answers as Twilio and SendGrid do.

One thread and one poll loop, because it shares the machine with what it measures. It counts what it got, notes when
texts for watched numbers came, and answers each request after the latency given, at once when that is 0.
"""

import json
import re
import select
import socket
import sys
import time
from collections import deque
from urllib.parse import unquote_plus

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TO = re.compile(rb"(?:^|&)To=([^&]*)")
MARK = b"Body=Bench"
"""How the texts of the bench's own campaigns begin: a text to a watched number without it is an answer."""

# No Date, no Server: what a client does not read costs nothing here.
_CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
_MESSAGE = (
    '{"account_sid":"AC00000000000000000000000000000000","api_version":"2010-04-01","body":"x","date_created":'
    '"Mon, 02 Nov 2026 12:00:00 +0000","date_sent":null,"date_updated":"Mon, 02 Nov 2026 12:00:00 +0000","direction":'
    '"outbound-api","error_code":null,"error_message":null,"from":null,"messaging_service_sid":'
    '"MG00000000000000000000000000000000","num_media":"0","num_segments":"1","price":null,"price_unit":"USD",'
    '"sid":"SM%032x","status":"accepted","subresource_uris":{},"to":"+12015550100","uri":"/2010-04-01/"}'
)
_TAKEN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: bench-%d\r\n\r\n"


class Sink:
    """The server: `requests`, `recipients` and `seen` are what it reports at `/bench`."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.requests = self.recipients = 0
        self.first = self.last = 0.0
        self.watched: set[str] = set()
        self.seen: dict[str, float] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._open: dict[int, socket.socket] = {}
        self._parts: dict[int, bytearray] = {}
        self._due: deque[tuple[float, int, socket.socket, bytes]] = deque()

    def serve(self) -> None:
        """Answer until the process is told to end."""
        while True:
            for number, _ in self._poll.poll(self._wait()):
                if number == self._listener.fileno():
                    self._accept()
                else:
                    self._read(number)
            while self._due and self._due[0][0] <= time.monotonic():
                _, number, connection, answer = self._due.popleft()
                if self._open.get(number) is connection:
                    self._write(number, answer)

    def _wait(self) -> float | None:
        return max(0.0, (self._due[0][0] - time.monotonic()) * 1000) if self._due else None

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[connection.fileno()] = connection
        self._poll.register(connection, select.POLLIN)

    def _close(self, number: int) -> None:
        self._poll.unregister(number)
        self._parts.pop(number, None)
        self._open.pop(number).close()

    def _read(self, number: int) -> None:
        try:
            data = self._open[number].recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(number)
            return
        held = self._parts.get(number)
        if held is not None:
            held += data
            if len(held) < self._whole(held):
                return
            data = bytes(self._parts.pop(number))
        else:
            whole = self._whole(data)
            if len(data) < whole or not whole:
                self._parts[number] = bytearray(data)
                return
        self._answer(number, data)

    @staticmethod
    def _whole(data: bytes | bytearray) -> int:
        """The length of the request that begins in `data`; more than there is while its head is not complete."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return len(data) + 1
        found = _LENGTH.search(data, 0, end)
        return end + 4 + (int(found[1]) if found else 0)

    def _answer(self, number: int, data: bytes) -> None:
        if data.startswith((b"GET /bench", b"POST /bench")):
            self._write(number, self._control(data))
            return
        now = time.monotonic()
        self.first, self.last = self.first or now, now
        self.requests += 1
        if data.startswith(b"POST /v3/"):
            self.recipients += data.count(b'"to":')
            answer = _TAKEN % self.requests
        else:
            self.recipients += 1
            if self.watched:
                self._note(data, now)
            body = (_MESSAGE % self.requests).encode()
            answer = _CREATED % (len(body), body)
        if self.latency:
            self._due.append((now + self.latency, number, self._open[number], answer))
        else:
            self._write(number, answer)

    def _note(self, data: bytes, now: float) -> None:
        body = data[data.find(b"\r\n\r\n") + 4 :]
        to = _TO.search(body)
        if to and MARK not in body and (phone := unquote_plus(to[1].decode())) in self.watched:
            self.seen.setdefault(phone, now)

    def _control(self, data: bytes) -> bytes:
        """`GET /bench` reports; `POST /bench` with a JSON list of numbers begins to count anew and watches them."""
        if data.startswith(b"POST"):
            self.watched = set(json.loads(data[data.find(b"\r\n\r\n") + 4 :] or b"[]"))
            self.seen, self.requests, self.recipients, self.first, self.last = {}, 0, 0, 0.0, 0.0
        names = ("requests", "recipients", "first", "last", "seen")
        body = json.dumps({name: getattr(self, name) for name in names}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def _write(self, number: int, answer: bytes) -> None:
        try:
            # A connection has one request open at a time and its answer is short: the socket always has room.
            self._open[number].sendall(answer)
        except OSError:
            self._close(number)


def main() -> None:
    """Print the port, then serve."""
    sink = Sink(float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0)
    print(sink.port, flush=True)
    sink.serve()


if __name__ == "__main__":
    main()
