"""What the rest of Hearthline hands to a provider and gets back from it, the same for texts and emails.

An outcome says what the caller must do next, not what the provider's words were; `errors.py` holds that mapping.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar


class Outcome(StrEnum):
    """What became of one message, as far as the sender can tell (DESIGN 6.4)."""

    ACCEPTED = "accepted"
    """The provider has it and gave it an id."""
    RETRY = "retry"
    """It never left, or the provider said it did nothing with it: sending it again cannot double it."""
    TOMORROW = "tomorrow"
    """A daily limit of the sender is used up."""
    STOPPED = "stopped"
    """The recipient has told the provider to stop."""
    UNREACHABLE = "unreachable"
    """The address will never work."""
    CONFIGURATION = "configuration"
    """Our account or settings are at fault: pause the campaign and tell a person."""
    FAILED = "failed"
    """This one message cannot go as it is; others may."""
    UNKNOWN = "unknown"
    """It may have left. It must be settled before it is sent again."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one delivery. `code` is the provider's, or our own word where the provider said nothing."""

    delivery_id: int
    outcome: Outcome
    provider_id: str | None = None
    code: str | None = None
    retry_after: float | None = None
    """Seconds that the provider asks us to wait."""
    slow_down: bool = False
    """Whether every worker should slow down, not only this message wait."""


class SendError(Exception):
    """A call to a provider failed. `outcome` says what to do; the message names only codes, never addresses."""

    def __init__(
        self, outcome: Outcome, code: str | None = None, *, retry_after: float | None = None, slow_down: bool = False
    ) -> None:
        super().__init__(f"{outcome} ({code or 'no code'})")
        self.outcome = outcome
        self.code = code
        self.retry_after = retry_after
        self.slow_down = slow_down

    def result(self, delivery_id: int) -> Result:
        """The same, as the result of one delivery."""
        return Result(delivery_id, self.outcome, code=self.code, retry_after=self.retry_after, slow_down=self.slow_down)


@dataclass(frozen=True, slots=True)
class Text:
    """One text message, ready to leave. `to` is E.164; `callback_token` names the delivery in the callback's URL."""

    delivery_id: int
    to: str = field(repr=False)
    body: str = field(repr=False)
    callback_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EmailRecipient:
    """One recipient of a batch: what differs from the others. `headers` holds List-Unsubscribe and its like."""

    delivery_id: int
    to: str = field(repr=False)
    first_name: str | None = field(default=None, repr=False)
    substitutions: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    reply_to: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EmailRequest:
    """One request to the email provider: a shared body and up to 1000 recipients.

    `category` groups statistics at the provider and must hold nothing personal. `reply_to` is for recipients who have
    none of their own; see docs/decisions/0004-reply-to-in-batches.md.
    """

    request_id: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    recipients: list[EmailRecipient] = field(repr=False)
    from_name: str = ""
    category: str = ""
    reply_to: str | None = field(default=None, repr=False)


Work = TypeVar("Work", contravariant=True)


class Sender(Protocol[Work]):
    """What a provider's sender does; `Work` is a sequence of texts or an email request."""

    def send(self, work: Work, /) -> Iterable[Result]:
        """Send, and give exactly one result for each delivery that was begun. Never raises for one message."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...
