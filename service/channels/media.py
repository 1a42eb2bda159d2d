"""Pictures and sounds that came with a text: fetched from the provider, and judged by their bytes.

The address stands in a webhook, so it is not believed: the first request goes to TWILIO_API_URL and nowhere else, only
that one carries our credentials, and where it leads has to be a place where the vendor keeps media.
"""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import pycurl

from service.channels.transport import CONNECT_TIMEOUT, basic_auth, is_loopback, loopback_socket
from service.config import TWILIO_API, Settings

MOST_BYTES = 10 * 1024 * 1024
"""Of one file. Twilio takes 5 MB by MMS; the rest is room for other carriers."""
MOST_REDIRECTS = 3
MEDIA_HOSTS = ("api.twilio.com", "mms.twiliocdn.com", "media.twiliocdn.com", "s3-external-1.amazonaws.com")
"""Where Twilio sends us for the bytes: the second with "Enforce HTTP Auth on Media URLs" on, the last without."""
_PATH = re.compile(
    r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Messages/(?:SM|MM)[0-9a-fA-F]{32}/Media/ME[0-9a-fA-F]{32}"
)


class MediaError(Exception):
    """A file that cannot be had. `reason` is one word for the record; `again` says whether to try later."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str
    body: bytes = field(repr=False)


def fetch(settings: Settings, url: str) -> bytes:
    """The bytes of a file that a webhook named. Raises MediaError: `address` for a place that is not the vendor's,
    `size` beyond MOST_BYTES, `missing` for one that is gone, else something that may pass.
    """
    here = _at_our_account(settings, url)
    asking = here
    for _ in range(MOST_REDIRECTS + 1):
        answer = _request(settings, "GET", asking, authorised=asking == here)
        if answer.status in (301, 302, 303, 307, 308) and answer.location:
            asking = _next_place(settings, urljoin(asking, answer.location))
            continue
        if answer.status == 200:
            return answer.body
        if answer.status in (404, 410):
            raise MediaError("missing")
        raise MediaError(f"status {answer.status}", again=True)
    raise MediaError("address")


def delete(settings: Settings, url: str) -> bool:
    """Have the provider forget the file; whether it has. Raises MediaError for a place that is not the vendor's."""
    answer = _request(settings, "DELETE", f"{_at_our_account(settings, url)}.json", authorised=True)
    return answer.status in (200, 204, 404, 410)


def _at_our_account(settings: Settings, url: str) -> str:
    """The file's address at TWILIO_API_URL. A foreign host, another account or any other path is refused."""
    parts, ours = urlsplit(url), urlsplit(settings.twilio_api_url)
    known = {urlsplit(TWILIO_API).netloc, ours.netloc}
    path = _PATH.fullmatch(parts.path)
    if parts.netloc not in known or path is None or path.group(1) != settings.twilio_account_sid:
        raise MediaError("address")
    return settings.twilio_api_url + parts.path


def _next_place(settings: Settings, url: str) -> str:
    """Where a redirect may lead: over TLS to a host that is known to hold media, or (sandbox) to the same origin."""
    parts, ours = urlsplit(url), urlsplit(settings.twilio_api_url)
    if (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc):
        return url
    # The certificate has to fit the name, so a name server that lies about it leads nowhere.
    if parts.scheme == "https" and parts.netloc in MEDIA_HOSTS:
        return url
    raise MediaError("address")


def _request(settings: Settings, method: str, url: str, *, authorised: bool) -> _Answer:
    """One request, at most MOST_BYTES of answer. Raises MediaError that may pass where no whole answer came."""
    parts: list[bytes] = []
    place: list[str] = []
    held = 0

    def take(piece: bytes) -> int:
        nonlocal held
        held += len(piece)
        if held > MOST_BYTES:
            return 0  # libcurl ends the transfer
        parts.append(piece)
        return len(piece)

    def head(line: bytes) -> None:
        name, _, value = line.decode("latin-1").partition(":")
        if name.strip().lower() == "location":
            place.append(value.strip())

    curl = pycurl.Curl()
    try:
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.TIMEOUT_MS, int(settings.send_timeout * 2000))
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_TIMEOUT * 1000))
        curl.setopt(pycurl.WRITEFUNCTION, take)
        curl.setopt(pycurl.HEADERFUNCTION, head)
        if is_loopback(url):
            curl.setopt(pycurl.PROXY, "")
        if os.environ.get("HEARTHLINE_LOOPBACK_ONLY") == "1":
            curl.setopt(pycurl.OPENSOCKETFUNCTION, loopback_socket)
        if authorised:
            credentials = basic_auth(settings.twilio_account_sid, settings.twilio_auth_token)
            curl.setopt(pycurl.HTTPHEADER, [f"Authorization: {credentials}"])
        curl.perform()
        status = int(curl.getinfo(pycurl.RESPONSE_CODE))
    except pycurl.error as error:
        if held > MOST_BYTES:
            raise MediaError("size") from None
        raise MediaError(f"libcurl {error.args[0]}", again=True) from None
    finally:
        curl.close()
    return _Answer(status, place[-1] if place else "", b"".join(parts))


_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"#!AMR", "audio/amr"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
SUFFIXES = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "application/pdf": "pdf",
    "audio/amr": "amr", "audio/ogg": "ogg", "audio/mpeg": "mp3", "audio/wav": "wav", "audio/mp4": "m4a",
}  # fmt: skip
"""Every kind that is kept and shown, with its ending. No SVG or HTML: those can hold scripts."""


def kind_of(data: bytes) -> str | None:
    """The kind of a file by its first bytes, one of SUFFIXES; None for any other. What the sender called it is not
    looked at.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp" and data[8:12] == b"M4A ":
        return "audio/mp4"
    if len(data) > 2 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:  # MPEG audio, layer III, without a tag
        return "audio/mpeg"
    return None
