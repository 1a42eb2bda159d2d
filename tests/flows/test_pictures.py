"""A member sends a picture: fetched with our credentials, kept encrypted, shown to coordinators alone, and forgotten.

The bytes travel as they do with the vendor: a webhook names an address at the API, which redirects to where they lie.
"""

import base64
import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import LargeBinary, func, select, type_coerce

from service import clock, config, db
from service.actions import backup, conversations, housekeeping, keys, leaving
from service.actions.conversations import media as files
from service.actions.conversations import store
from service.channels import media
from service.config import Settings
from service.models.inbox import Attachment, AttachmentPart, FileState
from tests.flows.talk import conversation
from tests.flows.world import World, add_member

ANA = "+12025550123"
ACCOUNT = "AC" + "0" * 32


def png(side: int = 8) -> bytes:
    """A small real picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    rows = b"".join(b"\0" + b"\xd9\x77\x2b" * side for _ in range(side))
    head = side.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def send(world: World, data: bytes, kind: str = "image/png", words: str = "") -> None:
    """Ana sends a file from her phone."""
    content = base64.b64encode(data).decode()
    world.standin.post("reply-sms", **{"from": ANA, "body": words, "media": [{"type": kind, "content": content}]})
    world._arrive()
    world.work()


def attachment() -> Attachment:
    with db.reading() as session:
        return session.scalars(select(Attachment)).one()


def parts() -> list[bytes]:
    with db.reading() as session:
        return list(session.scalars(select(AttachmentPart.content).order_by(AttachmentPart.number)))


def raw_parts() -> bytes:
    with db.reading() as session:
        return b"".join(session.scalars(select(type_coerce(AttachmentPart.content, LargeBinary))))


def at_the_provider(world: World) -> int:
    store_ = world.standin.app.extensions["sandbox"]
    return int(store_.one("SELECT COUNT(*) AS n FROM media")["n"])


def test_a_picture_is_fetched_kept_encrypted_and_forgotten_at_the_provider(world: World) -> None:
    ana = add_member("Ana", ANA)
    picture = png(200) + b"\0" * 150_000  # several pieces
    send(world, picture)
    assert attachment().state == FileState.WAITING
    assert at_the_provider(world) == 1
    assert files.fetch_waiting() == 2  # fetched, then deleted there
    found = attachment()
    assert (found.state, found.kind, found.size) == (FileState.KEPT, "image/png", len(picture))
    assert (found.url, found.next_try_at) == (None, None)
    assert len(parts()) == 3
    assert b"".join(parts()) == picture
    assert b"PNG" not in raw_parts()
    assert at_the_provider(world) == 0
    assert files.fetch_waiting() == 0
    assert conversation(ana).state == "needs_reply"  # a picture without words is read by a person


def test_what_the_sender_calls_it_is_not_believed(world: World) -> None:
    add_member("Ana", ANA)
    send(world, b"<html><script>alert(1)</script></html>", "image/jpeg")
    files.fetch_waiting()
    found = attachment()
    assert (found.state, found.reason, found.content_type) == (FileState.REFUSED, "kind", "image/jpeg")
    assert parts() == []


def test_what_is_too_large_is_broken_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    add_member("Ana", ANA)
    monkeypatch.setattr(media, "MOST_BYTES", 100_000)
    send(world, png() + b"\0" * 200_000)
    files.fetch_waiting()
    assert (attachment().state, attachment().reason) == (FileState.REFUSED, "size")


def test_a_provider_that_is_away_is_asked_again(world: World, configure: Callable[..., Settings]) -> None:
    add_member("Ana", ANA)
    send(world, png())
    right = config.current().twilio_api_url
    configure(twilio_api_url="http://127.0.0.1:9")
    with db.transaction() as session:
        row = session.scalars(select(Attachment)).one()
        row.url = (row.url or "").replace(right, "https://api.twilio.com")
    assert files.fetch_waiting() == 1
    assert attachment().state == FileState.WAITING
    assert files.fetch_waiting() == 0  # not at once
    configure(twilio_api_url=right)
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert files.fetch_waiting() == 2
    assert attachment().state == FileState.KEPT


def test_files_are_forgotten_after_their_days_and_with_their_member(world: World) -> None:
    ana = add_member("Ana", ANA)
    send(world, png())
    files.fetch_waiting()
    with clock.frozen_at(clock.now() + timedelta(days=29)):
        assert "files" not in housekeeping.run()
    with clock.frozen_at(clock.now() + timedelta(days=31)):
        assert housekeeping.run()["files"] == 1
        assert "files" not in housekeeping.run()
    assert attachment().state == FileState.GONE
    assert parts() == []
    send(world, png(9))
    files.fetch_waiting()
    assert len(parts()) == 1
    leaving.erase(ana.id, "cli")
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attachment)) == 0
    assert parts() == []


def test_keys_rotate_and_backups_hold_pictures(world: World, tmp_path: Any, configure: Callable[..., Settings]) -> None:
    add_member("Ana", ANA)
    send(world, png())
    files.fetch_waiting()
    old = config.current().encryption_keys
    configure(encryption_keys=base64.b64encode(b"n" * 32).decode() + "," + old)
    assert keys.rotate().columns["attachment_parts.content"] == 1
    assert parts() == [png()]
    assert backup.backup(tmp_path / "all.zip")["attachment_parts"] == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "url",
    [
        f"http://169.254.169.254/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}",
        f"https://api.twilio.com.evil.example/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}",
        f"https://api.twilio.com@evil.example/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}",
        f"https://api.twilio.com/2010-04-01/Accounts/AC{'9' * 32}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/../../x",
        "file:///etc/passwd",
    ],
)
def test_no_other_place_is_asked(database: db.Database, url: str) -> None:
    with pytest.raises(media.MediaError, match="address"):
        media.fetch(config.current(), url)
    add_member("Ana", ANA)
    form = {"MessageSid": "MM" + "1" * 32, "From": ANA, "To": "+15005550006", "Body": "look", "NumMedia": "1"}
    form |= {"MediaUrl0": url, "MediaContentType0": "image/png"}
    store.keep([store.Incoming("twilio", store.TEXT, form["MessageSid"], json.dumps({"form": form}))])
    conversations.process_inbound()
    files.fetch_waiting()
    with db.reading() as session:
        states = [(a.state, a.reason) for a in session.scalars(select(Attachment))]
    assert states in ([(FileState.REFUSED, "address")], [])  # a file:// never was listed


@pytest.mark.parametrize(
    ("place", "followed"),
    [
        ("https://mms.twiliocdn.com/AC1/x?Signature=1", True),
        ("https://s3-external-1.amazonaws.com/media.twiliocdn.com/x", True),
        ("http://mms.twiliocdn.com/x", False),
        ("https://mms.twiliocdn.com.evil.example/x", False),
        ("https://mms.twiliocdn.com:8443/x", False),
        ("https://169.254.169.254/latest/meta-data", False),
        ("http://localhost:6379/", False),
        ("file:///etc/passwd", False),
        ("gopher://mms.twiliocdn.com/x", False),
    ],
)
def test_redirects_lead_only_to_where_media_are_kept(
    configure: Callable[..., Settings], place: str, followed: bool
) -> None:
    settings = configure(twilio_api_url="https://api.twilio.com")
    if followed:
        assert media._next_place(settings, place) == place
    else:
        with pytest.raises(media.MediaError, match="address"):
            media._next_place(settings, place)


def test_only_the_api_gets_our_credentials(configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """And a chain of redirects ends."""
    settings = configure(twilio_api_url="https://api.twilio.com", twilio_account_sid=ACCOUNT)
    asked: list[tuple[str, bool]] = []

    def answer(_: Settings, method: str, url: str, *, authorised: bool) -> media._Answer:
        asked.append((url, authorised))
        return media._Answer(307, "https://mms.twiliocdn.com/next", b"")

    monkeypatch.setattr(media, "_request", answer)
    url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}"
    with pytest.raises(media.MediaError):
        media.fetch(settings, url)
    assert [authorised for _, authorised in asked] == [True, False, False, False]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"#!AMR\n", "audio/amr"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xfe<\0h\0", None),
        (b"%PDF-1.7", "application/pdf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x18ftypisom", None),
        (b"MZ\x90", None),
        (b"PK\x03\x04", None),
        (b"", None),
    ],
)
def test_the_kind_is_read_from_the_bytes(start: bytes, kind: str | None) -> None:
    assert media.kind_of(start) == kind


def test_only_who_may_read_the_words_sees_the_picture(world: World, app: Flask) -> None:
    from service.actions import staff
    from service.models.staff import Role
    from tests.web.pages import PASSWORD, path_of, submit

    add_member("Ana", ANA)
    send(world, png(), words="Look what I made")
    files.fetch_waiting()
    where = f"/console/inbox/files/{attachment().id}"

    def enter(role: Role) -> Any:
        client = app.test_client()
        link = staff.add_coordinator(f"{role}@example.org", role, "Maya")
        submit(client, path_of(link), {"password": PASSWORD, "time_zone": "UTC"})
        return client

    assert app.test_client().get(where).status_code == 302
    assert enter(Role.CIRCLE_COORDINATOR).get(where).status_code == 404
    maya = enter(Role.COORDINATOR)
    answer = maya.get(where)
    assert answer.data == png()
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="image-')
    assert answer.headers["Cache-Control"] == "no-store"
    page = maya.get(f"/console/inbox/{conversation_id()}").text
    assert f'src="{where}"' in page
    assert "Show the picture" in page


def conversation_id() -> Any:
    from service.models.conversations import Conversation

    with db.reading() as session:
        return session.scalars(select(Conversation.id)).one()
