"""A message as it arrived, the same for texts and emails."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from service.models.members import ChannelName


class Hold(StrEnum):
    """Why a mail is held, though a member has the address that it says it comes from."""

    UNPROVEN = "unproven"  # the From failed its checks, and it answers no mail of ours
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Arrived:
    """What somebody wrote, before anybody has thought about it. `words` are only the new ones."""

    channel: ChannelName
    sender: str = field(repr=False)
    words: str = field(repr=False)
    full: str | None = field(repr=False)
    subject: str | None = field(repr=False)
    event_id: int
    at: datetime
    """When it reached us."""
    provider_answered: str | None = None
    """STOP, START or HELP: the provider has answered already, so we stay silent."""
    automatic: bool = False
    trusted: bool = True
    """False for a mail whose From failed its checks: it is read by a person, and only a stop may be acted on."""
    held: Hold | None = None
    """Why this does not go into a member's conversation before a person has looked at it."""
    answers_delivery: int | None = None
    """The delivery that the signed reply address names: whoever has that address had the mail."""
    answers_campaign: UUID | None = None
    """The campaign of that delivery, or of the batch, where the provider did not make the address personal."""
    message_id: str | None = None
    attachments: list[tuple[str, str, int | None, str | None]] = field(default_factory=list, repr=False)
    """(name, content type, size in bytes, where the provider keeps it)"""

    @property
    def bare(self) -> bool:
        """Whether there is hardly more than the answer itself: nothing that a person would miss."""
        return len(self.words.split()) <= 3 and len(self.words) <= 25

    @property
    def proven(self) -> bool:
        """Whether it surely came from its address: a text does, a mail only if it answers one that we sent there."""
        return self.channel == ChannelName.SMS or (self.trusted and self.answers_delivery is not None)
