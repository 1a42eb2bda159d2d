"""Tokens that name a delivery: only what we signed is read, under any key that is still kept."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import links


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2**63 - 1), other=st.text(max_size=40))
def test_only_what_was_signed_names_a_delivery(configure: Callable[..., Any], number: int, other: str) -> None:
    configure()
    token = links.delivery_token(number)
    assert links.read_delivery_token(token) == number
    assert token.replace("_", "").replace("-", "").replace(".", "").isalnum()  # nothing to be quoted in an address
    name, _, mac = token.partition(".")
    for forged in (other, f"{number + 1}.{mac}", f"{name}.{other}", f"{name}.{mac[:-1]}", name, f"0{name}.{mac}"):
        assert links.read_delivery_token(forged) is None


def test_a_key_that_was_replaced_is_still_known_and_one_that_was_dropped_is_not(configure: Callable[..., Any]) -> None:
    configure(secret_key="old-key")
    token = links.delivery_token(62)
    configure(secret_key="new-key,old-key")
    assert links.read_delivery_token(token) == 62
    assert links.delivery_token(62) != token
    configure(secret_key="new-key")
    assert links.read_delivery_token(token) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2**63 - 1), other=st.text(max_size=40))
def test_a_reply_address_survives_folded_case_and_no_other_is_believed(
    configure: Callable[..., Any], number: int, other: str
) -> None:
    configure()
    token = links.reply_token("d", str(number))
    assert links.read_reply_token(token) == links.read_reply_token(f" {token.upper()}") == ("d", str(number))
    assert len(f"reply+{token}") <= 64  # what a mail server must take before the @ (RFC 5321)
    assert token.isalnum()
    mac, name = token[:16], token[16:]
    for forged in (other, name, mac, mac + other, f"{mac}dz{number + 1}", f"{mac}batchz{number}", f"{mac}z", ""):
        assert links.read_reply_token(forged) is None
