"""What the inbox calls things: how a message fared, what was understood, how worried the screen was."""

from datetime import timedelta
from typing import Any, NamedTuple

from service.actions.audience import REASONS
from service.actions.conversations import forgetting
from service.actions.understanding.lexicon import lexicon
from service.models.conversations import Flag, RiskTier
from service.models.inbox import Attachment, FileState

forgotten = forgetting.forgotten

_FARED = {
    "queued": ("waiting to leave", "plain"),
    "sending": ("leaving", "live"),
    "unknown": ("finding out whether it left", "wait"),
    "accepted": ("sent", "live"),
    "sent": ("sent", "live"),
    "delivered": ("delivered", "good"),
    "failed": ("could not be sent", "warn"),
    "undelivered": ("not delivered", "warn"),
    "bounced": ("came back", "warn"),
    "complained": ("marked as spam", "warn"),
    "skipped": ("not sent", "warn"),
}
_TITLES = {
    ("risk", RiskTier.IMMINENT): "Someone may be in danger now",
    ("risk", RiskTier.CONCERN): "Someone may be struggling: a person should look soon",
    ("minor", RiskTier.CONCERN): "Says that they are under 18",
    ("child_at_risk", RiskTier.CONCERN): "A child may be at risk",
}
_ANSWER_BOOKS = ("rsvp", "confirm", "me_too", "checkin")
_TIERS = {RiskTier.IMMINENT: "imminent", RiskTier.CONCERN: "concern"}
_KEYWORDS_SHOWN = ("STOP", "START", "HELP", "OOPS", "PAUSE", "LESS", "JOIN", "ADULT")
_SCOPES = {
    "all": "opt-out",
    "channel_sms": "opt-out: texts only",
    "channel_email": "opt-out: email only",
    "topic": "opt-out: one topic",
    "pause": "wants a break",
    "less": "wants fewer messages",
    "wrong_person": "wrong person",
    "delete": "wants to be deleted",
    "unproven": "asked to stop: rests for two weeks, please decide",
}


class Chip(NamedTuple):
    """One thing that was understood."""

    text: str
    tone: str = "plain"


_OF_ONE: dict[str, str] = {
    "still_there": "we asked whether the number is still theirs",
    "quiet": "the last check-ins were left unanswered",
}
"""Why one member's message waits or was left out, where the campaign's words would not do."""


def fared(state: str, reason: str) -> tuple[str, str]:
    """A delivery's state in words, with its tone."""
    words, tone = _FARED.get(str(state), (str(state), "plain"))
    if reason and state in ("skipped", "queued"):
        words = f"{words}: {_OF_ONE.get(reason) or REASONS.get(reason, reason.replace('_', ' '))}"
    return words, tone


def chips(labels: dict[str, Any]) -> list[Chip]:
    """What was understood from a member's message, most serious first. What was done counts more than what fitted."""
    found = []
    risk = labels.get("risk")
    if risk in ("imminent", "concern"):
        found.append(Chip(f"risk: {risk}", "risk" if risk == "imminent" else "warn"))
    if minor := labels.get("minor"):
        found.append(Chip("under 18" if minor == "self" else "a child may be at risk", "warn"))
    if labels.get("may_stop") or (labels.get("weak_opt_out") and not labels.get("did")):
        rests = ": rests for two weeks, please decide" if labels.get("may_stop") == "rests" else ""
        found.append(Chip(f"may want to stop{rests}", "wait"))
    found += _done(str(labels["did"])) if labels.get("did") else _read(labels)
    if labels.get("automatic"):
        found.append(Chip("automatic message"))
    if labels.get("held") == "unproven":
        found.append(Chip("sender not proven", "warn"))
    if labels.get("held") == "spam":
        found.append(Chip("looks like spam"))
    if labels.get("loop"):
        found.append(Chip("two machines may be talking: no automatic answer", "warn"))
    if labels.get("tapback"):
        found.append(Chip("a reaction, not an answer"))
    return found


def _done(did: str) -> list[Chip]:
    return [_one_done(part) for part in did.split(", ")]


def _one_done(did: str) -> Chip:
    what, _, value = did.partition(" ")
    if what == "opt_out":
        return Chip(_SCOPES.get(value, "opt-out"), "wait")
    if what == "checkin":
        return Chip(f"check-in {value}", "warn" if value in ("1", "2") else "good")
    if what == "rsvp":
        return Chip(f"RSVP {value}", "good" if value == "yes" else "plain")
    if what == "keyword":
        return Chip(value)
    return Chip("ME TOO" if did == "me too" else did.replace("_", " "))


def _read(labels: dict[str, Any]) -> list[Chip]:
    """What the words could mean where nothing was done with it."""
    found = []
    if labels.get("intent") == "opt_out":
        found.append(Chip(_SCOPES.get(str(labels.get("scope")), "opt-out"), "wait"))
    if labels.get("keyword") in _KEYWORDS_SHOWN and labels.get("intent") != "opt_out":
        found.append(Chip(str(labels["keyword"])))
    if labels.get("me_too"):
        found.append(Chip("ME TOO"))
    if labels.get("odd_number"):
        found.append(Chip("a number that answers nothing"))
    return found


def flag_title(flag: Flag) -> str:
    """A flag in one line of plain words."""
    return _TITLES.get((flag.label, flag.tier), _TITLES[("risk", flag.tier)])


def flag_reasons(flag: Flag) -> list[str]:
    """Why, by the names of the rules: without those that only read an answer (a YES, a 4) from the same words."""
    books = lexicon().books
    answers = {rule.name for book in _ANSWER_BOOKS if book in books for rule in books[book].rules}
    return [r for r in flag.reasons if r not in answers and r != "weight of words: answer"]


def tier(value: RiskTier | str) -> str:
    """`imminent` or `concern`."""
    return _TIERS[RiskTier(value)]


def lasting(span: timedelta | None) -> str:
    """`45 s`, `4 min`, `2 h 10 min`, `3 days`; a dash for nothing."""
    if span is None:
        return "–"
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds // 86400} days"


_NOT_SHOWN = {
    "kind": "of a kind that is not opened here",
    "size": "larger than 10 MB, so not fetched",
    "missing": "gone at the provider before it could be fetched",
    "address": "not fetched: it does not stand at the provider's address",
}


def file_fate(file: Attachment) -> str:
    """What became of a member's file that cannot be shown."""
    if file.state == FileState.LISTED:
        return "came by mail; files from mail are listed and never opened here"
    if file.state == FileState.WAITING:
        return "being fetched" if file.attempts < 2 else "being fetched; the provider makes us wait"
    if file.state == FileState.GONE:
        return "deleted, as every picture is after a while"
    return _NOT_SHOWN.get(file.reason or "", "could not be fetched from the provider")


def size(count: int | None) -> str:
    """`812 B`, `14 KB`, `2.3 MB`; "size unknown" where the provider did not say."""
    if count is None:
        return "size unknown"
    if count < 1024:
        return f"{count} B"
    return f"{count // 1024} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"
