"""Taking apart what Inbound Parse posts: the multipart form as raw bytes, because each field has its own charset, and
the whole MIME message where SendGrid is set to send that.
"""

import codecs
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

import orjson
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from service.channels.inbound_words import clean
from service.errors import Malformed, TooLarge

MAX_BYTES = 30 * 1024 * 1024
"""Inbound Parse's own limit for a message."""
MAX_PARTS = 200
# Python calls these encodings too; they are programs, or take quadratic time, and no mail is written in them.
_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
# Mail that says Latin-1 or ASCII means Windows' superset of it (WHATWG Encoding, section 4.2).
_MEANS = {"iso8859-1": "cp1252", "ascii": "cp1252"}


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file in the form: the field that carried it, its name as sent, its type, its bytes."""

    field_name: str
    name: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """What came with a mail; `size` in bytes."""

    name: str = field(repr=False)
    content_type: str
    size: int


def parse_multipart(raw: bytes, content_type: str) -> tuple[dict[str, bytes], list[FilePart]]:
    """The fields, undecoded, and the files of a multipart/form-data body; of a repeated field the first counts.

    Raises TooLarge over 30 MB or 200 parts, and Malformed for anything that is not such a form.
    """
    if len(raw) > MAX_BYTES:
        raise TooLarge("A mail may be 30 MB at most.")
    mimetype, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if mimetype.lower() != "multipart/form-data" or not boundary or len(boundary) > 200 or not boundary.isascii():
        raise Malformed("This is not a multipart form with a boundary.")
    try:
        return _read_parts(raw, boundary.encode())
    except RequestEntityTooLarge:
        raise TooLarge(f"A mail may have {MAX_PARTS} parts at most.") from None
    # The decoder says ValueError for nearly everything, and trips over a header that ends in the middle.
    except (ValueError, AttributeError, KeyError):
        raise Malformed("The multipart form is broken or incomplete.") from None


def _read_parts(raw: bytes, boundary: bytes) -> tuple[dict[str, bytes], list[FilePart]]:
    decoder = MultipartDecoder(boundary, max_parts=MAX_PARTS)
    decoder.receive_data(raw)
    decoder.receive_data(None)
    fields: dict[str, bytes] = {}
    files: list[FilePart] = []
    part: Field | File | None = None
    chunks: list[bytes] = []
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            part, chunks = event, []
        elif isinstance(event, Data):
            chunks.append(event.data)
            if event.more_data or part is None or not part.name:
                continue
            if isinstance(part, File):
                kind = part.headers.get("Content-Type") or "application/octet-stream"
                files.append(FilePart(part.name, part.filename, kind, b"".join(chunks)))
            else:
                fields.setdefault(part.name, b"".join(chunks))
    return fields, files


def charsets(form: Mapping[str, str | bytes]) -> dict[str, str]:
    """The charset of each field, from the `charsets` field; empty if that cannot be read."""
    found = json_object(form.get("charsets"))
    return {name: value for name, value in found.items() if isinstance(value, str)}


def json_object(value: str | bytes | None) -> dict[str, object]:
    """The JSON object in a field, or an empty one."""
    try:
        found = orjson.loads(value or b"{}")
    except (orjson.JSONDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def decode(value: str | bytes, charset: str | None) -> str:
    """`value` as text. Without a usable `charset`: UTF-8 if it is that, else Windows-1252. Never raises."""
    if isinstance(value, str):
        return value
    codec = _codec(charset)
    if codec is not None:
        with suppress(ValueError):  # some codecs raise whatever they were asked to do
            return value.decode(codec, "replace")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def _codec(charset: str | None) -> str | None:
    try:
        info = codecs.lookup((charset or "").strip()[:40])
        "".encode(info.name)  # refuses zip, hex and the other codecs that are not about text
    except (LookupError, ValueError):
        return None
    name = _MEANS.get(info.name, info.name)
    return None if name.replace("-", "_") in _NOT_CHARSETS else name


def header_text(value: object, limit: int) -> str:
    """One header or header-like field on one line, with its =?utf-8?…?= words decoded."""
    text = str(value or "")[: 4 * limit]
    if "=?" in text:
        with suppress(MessageError, LookupError, ValueError):  # readable enough as it is
            text = str(make_header(decode_header(text)))
    return " ".join(clean(text, limit).split())


@dataclass(frozen=True, slots=True)
class RawMail:
    """A whole MIME message: its headers, its text and HTML bodies, and what was attached."""

    headers: Message
    text: str = field(repr=False)
    html: str = field(repr=False)
    attachments: tuple[Attachment, ...]


def parse_raw(mime: bytes) -> RawMail:
    """A MIME message taken apart; a forwarded or returned message inside it is an attachment.

    Raises Malformed if it is nested beyond reason.
    """
    texts: list[str] = []
    htmls: list[str] = []
    attachments: list[Attachment] = []
    try:
        message = message_from_bytes(mime)
        for part in _leaves(message):
            payload = part.get_payload(decode=True)
            data = payload if isinstance(payload, bytes) else _inner(part)
            kind, name = part.get_content_type(), part.get_filename()
            if name is None and kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
                (texts if kind == "text/plain" else htmls).append(decode(data, part.get_content_charset()))
            else:
                attachments.append(Attachment(header_text(name, 200), header_text(kind, 100), len(data)))
    # The standard library's mail parser answers broken mail with whatever it trips over.
    except (RecursionError, MessageError, LookupError, ValueError, TypeError, AttributeError, AssertionError):
        raise Malformed("The MIME message cannot be read.") from None
    # Programs split the words around a picture into several parts.
    return RawMail(message, "\n".join(texts), "\n".join(htmls), tuple(attachments))


def _inner(part: Message) -> bytes:
    """The message inside a message/rfc822, or nothing if it is too broken to be written out again."""
    inner = part.get_payload()
    with suppress(LookupError, ValueError, TypeError, AttributeError):
        return b"".join(child.as_bytes() for child in inner if isinstance(child, Message))
    return b""


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something themselves; nothing inside a message/rfc822."""
    stack: list[Message] = [message]
    seen = 0
    while stack:
        part = stack.pop()
        seen += 1
        if seen > MAX_PARTS:
            raise TooLarge(f"A mail may have {MAX_PARTS} parts at most.")
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            stack.extend(child for child in reversed(payload) if isinstance(child, Message))
        else:
            yield part
