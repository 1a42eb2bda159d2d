"""What the members' pages call things: shelves, topics, what happened to a consent, what was sent."""

from typing import NamedTuple

from service.actions.member_card import Card, Sent
from service.models.campaigns import Purpose
from service.models.members import AddressState, ChannelName, ConsentEvent, ConsentKind, SubscriptionState, Topic

SHELVES = (("here", "Here"), ("waiting", "Waiting to confirm"), ("gone", "Gone"), ("all", "All"))
TOPICS: dict[Topic, str] = {
    Topic.STORIES: "Hope stories",
    Topic.CHECKINS: "Check-ins",
    Topic.SESSIONS: "Sessions",
    Topic.TOOLS: "Tools",
    Topic.CIRCLE: "News of the circle",
}
CHANNELS: dict[ChannelName, str] = {ChannelName.SMS: "Texts", ChannelName.EMAIL: "Emails"}
LANGUAGES = {"en": "English", "es": "Spanish"}
STATES = {
    "pending": ("waiting to confirm", "wait"),
    "active": ("here", "good"),
    "left": ("asked us to stop", "plain"),
    "died": ("has died", "plain"),
    "erased": ("erased", "plain"),
}
REACH = {
    AddressState.UNREACHABLE: "Cannot be reached.",
    AddressState.BOUNCED: "Mail comes back.",
    AddressState.COMPLAINED: "Marked our mail as spam.",
    AddressState.SILENT: "May not be theirs any more: we asked, and no YES came. No texts go there.",
}
STANDING: dict[SubscriptionState, tuple[str, str]] = {
    SubscriptionState.ACTIVE: ("on", "good"),
    SubscriptionState.PENDING: ("waiting", "wait"),
    SubscriptionState.PAUSED: ("paused", "wait"),
    SubscriptionState.STOPPED: ("off", "plain"),
}
PURPOSES: dict[Purpose, str] = {
    Purpose.SAFETY: "Answer to a risk",
    Purpose.ANSWER: "Automatic answer",
    Purpose.CONFIRM: "Request to confirm",
    Purpose.REPLY: "A person's reply",
    Purpose.TEST: "Test",
    Purpose.CAMPAIGN: "Campaign",
    Purpose.PAGE: "Page",
}
_HAPPENED: dict[ConsentKind, tuple[str, str]] = {
    ConsentKind.REQUESTED: ("Asked to join; waiting for their yes", "wait"),
    ConsentKind.CONFIRMED: ("Confirmed", "good"),
    ConsentKind.IMPORTED: ("Consent given elsewhere, brought here", "good"),
    ConsentKind.STARTED: ("Started", "good"),
    ConsentKind.STOPPED: ("Stopped", "ember"),
    ConsentKind.PAUSED: ("Took a break", "wait"),
    ConsentKind.RESUMED: ("Ended the break", "good"),
    ConsentKind.SUPPRESSED: ("Address marked: never contact", "ember"),
    ConsentKind.STAFF_UNDONE: ("A stop was taken back by staff", "live"),
    ConsentKind.DIED: ("Marked as died", "plain"),
    ConsentKind.ERASED: ("Erased", "plain"),
}


class Moment(NamedTuple):
    """One line of the consent timeline."""

    event: ConsentEvent
    title: str
    tone: str
    lines: list[str]
    wording: str
    """The exact words that they agreed to, "" where none were shown."""


def timeline(card: Card) -> list[Moment]:
    """The ledger in words, newest first."""
    return [_moment(event, card.actors) for event in card.ledger]


def _moment(event: ConsentEvent, actors: dict[str, str]) -> Moment:
    title, tone = _HAPPENED[event.kind]
    if event.channel:
        title = f"{title}: {CHANNELS[event.channel].lower()}"
    topics = [TOPICS[Topic(t)].lower() for t in event.topics.split(",") if t]
    about = ", ".join(topics) if len(topics) < len(Topic) else "everything"
    if not topics and event.kind == ConsentKind.STOPPED:
        about = "everything"
    by = "" if event.actor == "member" else f", by {actors.get(event.actor, event.actor)}"
    lines = [line[:1].upper() + line[1:] for line in (about, f"{event.source}{by}") if line]
    if event.evidence and not event.wording and not _is_id(event.evidence):
        lines.append(event.evidence)
    return Moment(event, title, tone, lines, event.wording)


def _is_id(evidence: str) -> bool:
    """Ids prove something to the database; to a reader they are noise."""
    return " " not in evidence and len(evidence) >= 32


def sent_name(sent: Sent) -> str:
    """What a message was, in a few words."""
    return sent.campaign_name or PURPOSES[sent.purpose]
