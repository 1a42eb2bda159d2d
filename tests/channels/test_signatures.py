"""A webhook that is not signed by the provider is not believed, whatever it carries in its headers."""

import base64
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from service.channels.signatures import verify_sendgrid, verify_twilio

PAYLOADS = Path(__file__).parent / "payloads"
TOKEN = "12345678901234567890123456789012"
URL = "https://hearth.example.org/webhooks/twilio/status?d=114.Zk3u-Qw_x"
FORM = dict(parse_qsl((PAYLOADS / "twilio_text.form").read_text().strip(), keep_blank_values=True))
KEY = ec.generate_private_key(ec.SECP256R1())
STAMP = "1793721600"


def signed_by_twilio(url: str = URL, form: object = FORM, algorithm: str | None = None) -> str:
    return RequestValidator(TOKEN).compute_signature(url, form, algorithm)


def public(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed_by_sendgrid(body: bytes) -> str:
    return base64.b64encode(KEY.sign(STAMP.encode() + body, ec.ECDSA(SHA256()))).decode()


def test_the_vendors_own_published_example_is_accepted():
    """From Twilio's security documentation, so that we do not only agree with ourselves."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert verify_twilio("12345", url, form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert not verify_twilio("12345", url, form | {"Digits": "1235"}, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


def test_a_signed_text_is_accepted_as_dict_and_as_multidict():
    assert verify_twilio(TOKEN, URL, FORM, signed_by_twilio())
    assert verify_twilio(TOKEN, URL, MultiDict(FORM), signed_by_twilio())
    twice = MultiDict([*FORM.items(), ("MediaUrl0", "b"), ("MediaUrl0", "a")])
    assert verify_twilio(TOKEN, URL, twice, signed_by_twilio(form=twice))


@pytest.mark.parametrize(
    ("ours", "signed"),
    [
        ("https://hearth.example.org/w?d=1", "https://hearth.example.org:443/w?d=1"),
        ("https://hearth.example.org:443/w?d=1", "https://hearth.example.org/w?d=1"),
        ("http://hearth.example.org/w", "http://hearth.example.org:80/w"),
        ("http://127.0.0.1:8000/w", "http://127.0.0.1:8000/w"),
        ("http://[::1]:8000/w", "http://[::1]:8000/w"),
        ("https://hearth.example.org/w#rc=5&rp=all", "https://hearth.example.org/w"),
    ],
)
def test_the_port_and_the_fragment_make_no_difference(ours, signed):
    assert verify_twilio(TOKEN, ours, FORM, signed_by_twilio(signed))


def test_a_signature_over_something_else_is_refused():
    good = signed_by_twilio()
    assert not verify_twilio("another token", URL, FORM, good)
    assert not verify_twilio(TOKEN, URL + "x", FORM, good)
    assert not verify_twilio(TOKEN, URL, FORM | {"Body": "STOP"}, good)
    assert not verify_twilio(TOKEN, URL, {}, good)
    assert not verify_twilio(TOKEN, URL, FORM, good[:-2] + "A=")


def test_no_header_or_no_token_is_a_refusal():
    assert not verify_twilio(TOKEN, URL, FORM, None)
    assert not verify_twilio(TOKEN, URL, FORM, "")
    assert not verify_twilio("", URL, FORM, RequestValidator("").compute_signature(URL, FORM))


def test_the_settings_header_chooses_the_hash():
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    sha256 = signed_by_twilio(algorithm="HMAC_SHA256")
    assert verify_twilio(TOKEN, URL, FORM, sha256, settings)
    assert not verify_twilio(TOKEN, URL, FORM, sha256)
    assert not verify_twilio(TOKEN, URL, FORM, signed_by_twilio(), settings)
    assert not verify_twilio(TOKEN, URL, FORM, signed_by_twilio(), "key=x,algorithm=NONE")


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=4), st.text(min_size=1), st.text())
def test_no_text_upsets_the_check_of_a_text_message(token, url, form, header, settings):
    assert verify_twilio(token, url, form, header, settings) is False


def test_a_signed_batch_is_accepted_and_the_vendors_package_agrees():
    body = (PAYLOADS / "sendgrid_events.json").read_bytes()
    signature = signed_by_sendgrid(body)
    assert EventWebhook(public(KEY)).verify_signature(body.decode(), signature, STAMP)
    assert verify_sendgrid(public(KEY), body, signature, STAMP)


def test_raw_bytes_that_are_not_utf8_are_verified_as_they_are():
    body = (PAYLOADS / "spanish_gmail_iso8859_1.multipart").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    assert verify_sendgrid(public(KEY), body, signed_by_sendgrid(body), STAMP)
    assert not verify_sendgrid(public(KEY), body.replace(b"\xf1", b"n"), signed_by_sendgrid(body), STAMP)


def test_the_key_may_be_wrapped_in_pem():
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert verify_sendgrid(pem, b"[]", signed_by_sendgrid(b"[]"), STAMP)


def test_another_key_time_or_body_is_refused():
    good = signed_by_sendgrid(b"[]")
    other = public(ec.generate_private_key(ec.SECP256R1()))
    assert not verify_sendgrid(other, b"[]", good, STAMP)
    assert not verify_sendgrid(public(KEY), b"[]", good, "1793721601")
    assert not verify_sendgrid(public(KEY), b"[{}]", good, STAMP)
    assert not verify_sendgrid(public(KEY), b"[]", None, STAMP)
    assert not verify_sendgrid(public(KEY), b"[]", good, None)


@pytest.mark.parametrize("bad", ["", "no base64!", "AAAA", "=", "a", "é", "\ud800", "MFkwEwYHKoZIzj0C"])
def test_a_bad_key_or_signature_is_a_refusal_and_not_an_error(bad):
    assert not verify_sendgrid(bad, b"[]", signed_by_sendgrid(b"[]"), STAMP)
    assert not verify_sendgrid(public(KEY), b"[]", bad, STAMP)
    assert not verify_sendgrid(public(KEY), b"[]", signed_by_sendgrid(b"[]"), bad)


def test_a_key_of_another_kind_is_a_refusal():
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert not verify_sendgrid(public(rsa_key), b"[]", signed_by_sendgrid(b"[]"), STAMP)


@given(st.text(), st.binary(), st.text(), st.text())
def test_no_bytes_upset_the_check_of_a_batch(key, body, signature, stamp):
    assert verify_sendgrid(key, body, signature, stamp) is False
    assert verify_sendgrid(public(KEY), body, signature, stamp) is False
