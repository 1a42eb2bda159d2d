"""The tables from provider codes to outcomes, and the words that a coordinator reads about each."""

import re

import pytest

from service.channels.base import Outcome
from service.channels.errors import (
    BOUNCE_CLASSES,
    DROP_REASONS,
    REMEDIES,
    SENDGRID_STATUSES,
    TWILIO_CODES,
    outcome_of_bounce,
    outcome_of_code,
    outcome_of_drop,
    outcome_of_sendgrid_status,
    remedy,
    slows_down,
)


@pytest.mark.parametrize("code", TWILIO_CODES)
def test_every_code_has_a_remedy_in_plain_words(code: str) -> None:
    words = remedy(code)
    assert words == REMEDIES[code]
    assert words.endswith(".")
    assert not re.search(r"\d{5}|exception|HTTP", words)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (21610, Outcome.STOPPED), ("21211", Outcome.UNREACHABLE), ("30006", Outcome.UNREACHABLE),
        ("30034", Outcome.CONFIGURATION), ("30007", Outcome.CONFIGURATION), ("30003", Outcome.RETRY),
        ("30023", Outcome.TOMORROW), ("30410", Outcome.UNKNOWN), ("99999", Outcome.FAILED), (None, Outcome.FAILED),
    ],
)  # fmt: skip
def test_codes_mean_the_same_at_once_and_in_a_callback(code: str | int | None, outcome: Outcome) -> None:
    assert outcome_of_code(code) is outcome


def test_one_phone_out_of_reach_slows_nobody_else_down() -> None:
    assert slows_down(20429)
    assert not slows_down("30003")
    assert not slows_down(None)


def test_an_unknown_code_is_named_and_none_is_explained() -> None:
    assert "12345" in remedy(12345)
    assert remedy(None)
    assert remedy("") == remedy(None)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [*SENDGRID_STATUSES.items(), (301, Outcome.CONFIGURATION), (408, Outcome.UNKNOWN), (422, Outcome.FAILED),
     (500, Outcome.UNKNOWN), (599, Outcome.UNKNOWN), (100, Outcome.UNKNOWN)],
)  # fmt: skip
def test_statuses_of_mail_send(status: int, outcome: Outcome) -> None:
    assert outcome_of_sendgrid_status(status) is outcome


def test_bounces_condemn_an_address_only_when_it_does_not_exist() -> None:
    assert outcome_of_bounce("bounce", "Invalid Address") is Outcome.UNREACHABLE
    assert outcome_of_bounce("bounce", None) is Outcome.UNREACHABLE
    assert outcome_of_bounce("blocked", "Invalid Address") is Outcome.FAILED
    assert outcome_of_bounce("blocked", None) is Outcome.FAILED
    assert outcome_of_bounce("blocked", "Reputation") is Outcome.CONFIGURATION
    assert outcome_of_bounce("bounce", "Mailbox Unavailable") is Outcome.FAILED
    assert all(outcome_of_bounce("bounce", name.title()) is outcome for name, outcome in BOUNCE_CLASSES.items())


def test_drops_keep_what_the_recipient_asked_for() -> None:
    assert outcome_of_drop("Unsubscribed Address") is Outcome.STOPPED
    assert outcome_of_drop("Spam Reporting Address") is Outcome.STOPPED
    assert outcome_of_drop("Bounced Address") is Outcome.UNREACHABLE
    assert outcome_of_drop("something new") is Outcome.FAILED
    assert outcome_of_drop(None) is Outcome.FAILED
    assert all(reason == reason.lower() for reason in DROP_REASONS)
