"""What a text can mean to us: the labels, and the one record that carries them."""

from dataclasses import dataclass, field
from enum import StrEnum


class Risk(StrEnum):
    """How soon a person must look (facts on risk screening: two tiers). NONE is still read, only later."""

    IMMINENT = "imminent"
    CONCERN = "concern"
    NONE = "none"


class Intent(StrEnum):
    """What the text asks of the service itself."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"
    NONE = "none"


class Scope(StrEnum):
    """How much an opt-out covers. CHANNEL_SMS stops texts and keeps email, CHANNEL_EMAIL the other way round. PAUSE is
    for a while, or for a part that we cannot name."""

    ALL = "all"
    CHANNEL_SMS = "channel_sms"
    CHANNEL_EMAIL = "channel_email"
    TOPIC = "topic"
    PAUSE = "pause"
    LESS = "less"
    WRONG_PERSON = "wrong_person"
    DELETE = "delete"


class Rsvp(StrEnum):
    """An answer to an invite. UNCLEAR goes to a person and is not guessed."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"
    UNCLEAR = "unclear"


RSVP_ANSWERS = (Rsvp.YES, Rsvp.NO, Rsvp.MAYBE)
"""What an invite can be answered with; whatever is unclear answers nothing."""


class Confirm(StrEnum):
    """An answer to a yes-or-no question."""

    YES = "yes"
    NO = "no"


class Minor(StrEnum):
    """The writer says that they are under age, or that a child is at risk."""

    SELF = "self"
    CHILD_AT_RISK = "child_at_risk"


class Question(StrEnum):
    """The open question a text may answer. NONE says that nothing is open; `None` instead says that it is not known."""

    INVITE = "invite"
    CHECKIN = "checkin"
    STORY = "story"
    CONFIRM = "confirm"
    ADULT = "adult"
    SAFETY = "safety"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Understanding:
    """Every label of one text. Several may stand at once; `reasons` holds rule names, never the member's words.

    `rsvp` is None when an invite cannot be the open question, `checkin` when no 1–5 was found, `confirm` when no plain
    yes or no was. `weak_opt_out` asks to hold what is scheduled and let a person look; it is never set with `opt_out`.
    `odd_number` marks a bare number that answers nothing. `topic` names the topic of a partial opt-out, if any.
    """

    risk: Risk = Risk.NONE
    intent: Intent = Intent.NONE
    scope: Scope | None = None
    topic: str | None = None
    rsvp: Rsvp | None = None
    checkin: int | None = None
    confirm: Confirm | None = None
    minor: Minor | None = None
    me_too: bool = False
    keyword: str | None = None
    argument: str | None = None
    automatic: bool = False
    tapback: bool = False
    language: str = "en"
    odd_number: bool = False
    weak_opt_out: bool = False
    reasons: list[str] = field(default_factory=list)
