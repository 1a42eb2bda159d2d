"""Mail as Inbound Parse posts it: the sender, the thread, and what is new in it, in the charset it was written in."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.channels.inbound_email import FilePart, InboundEmail, Verdict, parse, parse_multipart
from service.errors import Malformed, TooLarge

PAYLOADS = Path(__file__).parent / "payloads"
KIND = "multipart/form-data; boundary=xYzZY"
TOKEN = "mfrggzdfmztwq2lk"
REPLY_TO = f"reply+{TOKEN}@replies.example.org"
HEADERS = "From: Rosa <rosa@example.net>\nMessage-ID: <m1@example.net>\n"


def post(name: str):
    return parse(*parse_multipart((PAYLOADS / f"{name}.multipart").read_bytes(), KIND))


def mail(headers: str = HEADERS, **fields: str | bytes):
    return parse({"headers": headers, **fields})


def test_a_gmail_reply_keeps_only_the_new_words_and_right_to_left_text():
    found = post("gmail_reply_utf8")
    assert found.text == "Me too. I read it twice 💛\n\nשלום לכולם"
    assert "a friend who asked twice" in found.full_text
    assert (found.sender_address, found.sender_name) == ("rosa@example.net", "Rosa Delgado")
    assert (found.to_addresses, found.reply_token) == ((REPLY_TO,), TOKEN)
    assert found.message_id == found.dedupe_key == "<CAJ9k2Vx=rosa1@mail.gmail.com>"
    assert found.in_reply_to == "<story-114@mail.example.org>"
    assert found.references == ("<welcome-2@mail.example.org>", "<story-114@mail.example.org>")
    assert (found.subject, found.spam_score) == ("Re: A story for Tuesday", 0.011)
    assert (found.spf, found.dkim, found.dkim_domains) == (Verdict.PASS, Verdict.PASS, ("example.net",))
    assert not found.html_only
    assert not found.automatic


def test_html_only_mail_becomes_text_with_its_line_breaks():
    found = post("gmail_html_only")
    assert found.html_only
    assert found.text == "Yes & thank you <3\nSee you there\n\n- I bring tea\n- and my sister"
    assert "> I used to feel like that" in found.full_text
    assert "alert" not in found.full_text
    assert "color" not in found.full_text


def test_spanish_in_latin_1():
    found = post("spanish_gmail_iso8859_1")
    assert found.text == "Sí, mañana voy. ¡Qué alegría!"
    assert "¿Vienes al círculo?" in found.full_text
    assert (found.sender_name, found.subject) == ("Begoña Ibáñez", "Re: Círculo del martes")


def test_an_outlook_reply_in_windows_1252():
    found = post("outlook_reply_windows1252")
    assert found.text == "I can’t come on Tuesday – my shift changed.\nCould I have the “Thursday” seat?"
    assert "Answer YES, NO or MAYBE" in found.full_text
    assert (found.sender_address, found.sender_name) == ("dev@example.net", "Okafor, Dev")
    assert found.spf is Verdict.FAIL
    assert found.dkim_domains == ("example-net.20230601.gappssmtp.com",)
    assert not found.automatic  # X-Auto-Response-Suppress stands in every Outlook mail


def test_a_spanish_outlook_reply_as_html_only():
    assert post("outlook_html_only_spanish").text == "No puedo ir el martes."


def test_apple_mail_with_answers_between_the_quotes_and_a_picture():
    found = post("apple_mail_inline_attachment")
    assert found.text == "Hi Ana,\n\n4, better than last week.\n\nYes please"
    (picture,) = found.attachments
    assert (picture.name, picture.content_type, picture.size) == ("walk é.jpg", "image/jpeg", 37)


def test_apple_mail_as_html_only():
    assert post("apple_mail_html_only").text == "I walked to the river.\n\nIt helped."


@pytest.mark.parametrize(
    ("name", "reason"), [("out_of_office", "auto-submitted"), ("bounce_null_return_path", "null return path")]
)
def test_a_machines_mail_is_known_and_its_words_are_kept(name, reason):
    found = post(name)
    assert (found.automatic, found.automatic_reason) == (True, reason)
    assert found.text == found.full_text != ""


def test_a_quote_alone_says_nothing_new_but_is_kept():
    found = post("quote_only")
    assert found.text == ""
    assert "It took a year" in found.full_text
    assert found.message_id is None


def test_without_an_envelope_the_header_names_the_recipients():
    found = post("no_envelope_two_recipients")
    assert found.to_addresses == ("ana@example.net", REPLY_TO)
    assert found.reply_token == TOKEN
    assert not found.automatic


def test_raw_mode():
    found = post("raw_mode")
    assert found.text == "Sí, mañana voy…"
    assert (found.sender_address, found.sender_name) == ("jose@example.net", "José")
    assert (found.subject, found.message_id, found.reply_token) == ("Re: círculo", "<raw1@example.net>", TOKEN)
    assert "Not the member's words" not in found.full_text
    assert [(a.name, a.content_type) for a in found.attachments] == [
        ("invitación.pdf", "application/pdf"),
        ("", "message/rfc822"),
    ]
    assert [a.size > 0 for a in found.attachments] == [True, True]
    assert found.dkim is Verdict.NONE


def test_without_message_id_the_same_post_has_the_same_key_and_another_has_not():
    raw = (PAYLOADS / "quote_only.multipart").read_bytes()
    keys = {parse(*parse_multipart(r, KIND)).dedupe_key for r in (raw, raw, raw.replace(b"asked twice", b"asked"))}
    assert len(keys) == 2
    assert all(key.startswith("sha256:") and len(key) < 200 for key in keys)


def test_a_very_long_message_id_does_not_make_a_long_key():
    found = mail(f"From: a@example.net\nMessage-ID: <{'x' * 800}@example.net>\n")
    assert found.dedupe_key.startswith("sha256:")


def test_words_and_addresses_stay_out_of_the_repr():
    shown = repr(post("apple_mail_inline_attachment"))
    assert "better" not in shown
    assert "tomas@" not in shown.replace("tomas1@example.net>", "")
    assert "walk" not in shown


@pytest.mark.parametrize(
    ("charset", "raw", "words"),
    [
        ("ISO-8859-1", "I’m here".encode("cp1252"), "I’m here"),
        ("no-such-charset", "mañana".encode(), "mañana"),
        ("no-such-charset", "mañana".encode("latin-1"), "mañana"),
        ("utf-8", b"ma\xf1ana", "ma\ufffdana"),
        ("base64", b"aGk=", "aGk="),
        ("idna", b"xn--mara-5rb", "xn--mara-5rb"),
        ("utf-16", "hola".encode("utf-16"), "hola"),
        ("\x00", b"hola", "hola"),
        (7, b"hola", "hola"),
    ],
)
def test_a_bad_charset_costs_no_words(charset, raw, words):
    assert mail(text=raw, charsets=json.dumps({"text": charset})).text == words


@pytest.mark.parametrize("charsets", ["", "not json", "[]", "null", '{"text":'])
def test_unreadable_charsets_are_as_none(charsets):
    assert mail(text="mañana".encode(), charsets=charsets).text == "mañana"


def test_controls_go_and_long_mail_is_bounded():
    found = mail(text="a\x00b\x1b[31m\r\nc\x85d " + "long words " * 100_000)
    assert found.text.startswith("ab[31m\nc\nd long")
    assert len(found.full_text) <= 100_000


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("Auto-Submitted: no", None),
        ("Auto-Submitted: NO; x=y", None),
        ("Auto-Submitted: auto-replied", "auto-submitted"),
        ("X-Autoreply: yes", "x-autoreply"),
        ("X-Autorespond: Away", "x-autorespond"),
        ("Precedence: bulk", "precedence"),
        ("Precedence: auto_reply", "precedence"),
        ("Precedence: junk", "precedence"),
        ("Precedence: first-class", None),
        ("List-Id: <news.example.net>", "list-id"),
        ("List-Unsubscribe: <https://example.net>", "list-unsubscribe"),
        ("Feedback-ID: 1:2:3", "feedback-id"),
        ("Return-Path: <>", "null return path"),
        ("Return-Path: <rosa@example.net>", None),
        ("Content-Type: multipart/report; report-type=delivery-status", "report"),
        ("X-Auto-Response-Suppress: All", None),
        ("Subject: Respuesta automática: Círculo", "subject"),
        ("Subject: Out of office", "subject"),
        ("Subject: Re: Automatic reply: Tuesday", None),
        ("Subject: Out of office politics I am tired", None),
    ],
)
def test_the_signs_of_automatic_mail(extra, reason):
    found = mail(f"{HEADERS}{extra}\n", envelope='{"to":[],"from":"rosa@example.net"}', text="I am away")
    assert (found.automatic, found.automatic_reason) == (reason is not None, reason)


def test_a_mail_system_is_a_machine():
    assert mail("From: Postmaster <postmaster@example.net>\n").automatic_reason == "mail system"
    assert mail(envelope='{"to":["x@example.org"],"from":""}').automatic_reason == "null return path"


@pytest.mark.parametrize(
    ("header", "address", "name"),
    [
        ("rosa@example.net", "rosa@example.net", ""),
        ('"<ceo@example.org>" <Rosa@Example.net>', "rosa@example.net", "<ceo@example.org>"),
        ("rosa@example.net (not <ceo@example.org>)", "rosa@example.net", ""),
        ("=?UTF-8?B?8J+Mvw==?= <rosa@example.net>", "rosa@example.net", "🌿"),
        ("=?nonsense?Q?Rosa?= <rosa@example.net>", "rosa@example.net", "=?nonsense?Q?Rosa?="),
    ],
)
def test_the_sender_is_who_the_header_says(header, address, name):
    found = mail(f"From: {header}\n")
    assert (found.sender_address, found.sender_name) == (address, name)


def test_mail_from_nobody_is_malformed():
    for fields in ({}, {"text": "hello"}, {"from": "nobody"}, {"headers": "From: \n"}, {"email": b"\n\nhello"}):
        with pytest.raises(Malformed, match="no From"):
            parse(fields)


@pytest.mark.parametrize("envelope", ["", "x", "[]", '{"to":"a"}', '{"to":[1,null]}', '{"to":[],"from":7}'])
def test_an_odd_envelope_is_as_none(envelope):
    assert mail(envelope=envelope, to=f"Hearthline <{REPLY_TO}>").reply_token == TOKEN


def test_the_envelope_counts_over_the_header():
    found = mail(f"{HEADERS}To: a@example.net\n", envelope=json.dumps({"to": ["b@example.org", REPLY_TO]}))
    assert found.to_addresses == ("b@example.org", REPLY_TO)
    assert found.reply_token == TOKEN


@pytest.mark.parametrize(
    ("spf", "dkim", "verdicts"),
    [
        ("pass", "{@example.net : pass}", ("pass", "pass")),
        ("fail", "{@example.net : fail (body has been altered)}", ("fail", "fail")),
        ("softfail", "{@a.net : fail, @b.net : pass}", ("fail", "pass")),
        ("neutral", "none", ("none", "none")),
        ("temperror", "", ("none", "none")),
    ],
)
def test_verdicts_on_the_sender(spf, dkim, verdicts):
    found = mail(SPF=spf, dkim=dkim)
    assert (found.spf, found.dkim) == verdicts


@pytest.mark.parametrize("score", ["", "high", "nan", "inf"])
def test_a_score_that_is_no_number_is_none(score):
    assert mail(spam_score=score).spam_score is None


def test_limits_of_a_form():
    with pytest.raises(TooLarge, match="30 MB"):
        parse_multipart(b"x" * (30 * 1024 * 1024 + 1), KIND)
    part = b'--xYzZY\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    assert parse_multipart(part * 200 + b"--xYzZY--\r\n", KIND) == ({"a": b"b"}, [])
    with pytest.raises(TooLarge, match="200 parts"):
        parse_multipart(part * 201 + b"--xYzZY--\r\n", KIND)


def test_of_a_repeated_field_the_first_counts():
    part = b'--xYzZY\r\nContent-Disposition: form-data; name="to"\r\n\r\n%s\r\n'
    assert parse_multipart(part % b"a" + part % b"b" + b"--xYzZY--", KIND)[0] == {"to": b"a"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", KIND),
        (b"--xYzZY\r\n", KIND),
        (b"--xYzZY\r\nContent-Disposition: form-data; name=a\r\n\r\nhalf", KIND),
        (b"--xYzZY\r\nX: y\r\n\r\nb\r\n--xYzZY--", KIND),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"--xYzZY--", "multipart/form-data"),
        (b"--xYzZY--", "multipart/form-data; boundary=\xe9"),
        (b"--xYzZY--", ""),
    ],
)
def test_what_is_no_form_is_malformed(body, kind):
    with pytest.raises(Malformed):
        parse_multipart(body, kind)


def test_mail_nested_beyond_reason_ends_in_a_refusal_and_not_in_a_crash():
    deep = b"From: a@example.net\n"
    for i in range(3000):
        deep += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (i, i)
    with pytest.raises((Malformed, TooLarge)):
        parse({"email": deep})


def storable(found: InboundEmail) -> bool:
    """No word in it that a database would refuse: neither NUL nor half a character."""
    texts = [found.text, found.full_text, found.subject, found.sender_name, found.sender_address, found.dedupe_key]
    texts += [*found.to_addresses, *found.references, *found.dkim_domains]
    texts += [part for a in found.attachments for part in (a.name, a.content_type)]
    return all("\x00" not in text.encode().decode() for text in texts)


FIELD_NAMES = "headers text html from to subject envelope charsets email SPF dkim spam_score attachments".split()
ODD = [b"=?utf-8?b?x?=", b"From: a@b\n", b"\xff\xfe", b'{"text":"utf-7"}', b"Content-Type: multipart/mixed; boundary=a"]


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(FIELD_NAMES), st.text() | st.binary() | st.sampled_from(ODD)), st.booleans())
def test_any_form_is_read_or_malformed(fields, with_sender):
    if with_sender:
        fields["from"] = "a@example.net"
    try:
        found = parse(fields, [FilePart("attachment1", "a\x00b", "x", b"")])
    except (Malformed, TooLarge):
        return
    assert storable(found)


@given(st.binary(), st.text())
def test_any_body_is_a_form_or_malformed(raw, kind):
    for content_type in (KIND, kind, f"multipart/form-data; boundary={kind}"):
        with contextlib.suppress(Malformed, TooLarge):
            parse_multipart(raw, content_type)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_post_is_read_or_malformed(data):
    """Real posts with a piece cut out, doubled or overwritten."""
    name = data.draw(st.sampled_from(["raw_mode", "gmail_html_only", "apple_mail_inline_attachment"]))
    raw = (PAYLOADS / f"{name}.multipart").read_bytes()
    start, length = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 60))
    damaged = raw[:start] + data.draw(st.binary(max_size=40)) + raw[start + length :]
    with contextlib.suppress(Malformed, TooLarge):
        assert storable(parse(*parse_multipart(damaged, KIND)))
