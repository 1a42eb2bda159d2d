"""What the campaign pages call things: kinds, states, why a message waits, why it never left."""

from dataclasses import dataclass

from service.actions.audience import REASONS
from service.models.campaigns import CampaignKind, DeliveryState
from service.models.members import Topic


@dataclass(frozen=True)
class Kind:
    """A kind of campaign, as a coordinator chooses it."""

    label: str
    sentence: str
    icon: str
    asks: str
    """What a member may answer."""


KINDS: dict[CampaignKind, Kind] = {
    CampaignKind.STORY: Kind(
        "Hope story", "One member's words about a way through, to those who have not had them yet.", "book", "ME TOO"
    ),
    CampaignKind.CHECKIN: Kind(
        "Check-in nudge", "How are you today, 1 to 5? The answers come to the inbox.", "heart", "1 to 5"
    ),
    CampaignKind.INVITE: Kind(
        "Session invite", "When a circle meets next. People answer by text, or with a button in the email.",
        "calendar", "YES, NO or MAYBE",
    ),
    CampaignKind.TOOL: Kind(
        "Tool", "A short card to try anywhere, such as a way of breathing.", "sun", "nothing, unless they like"
    ),
    CampaignKind.ANNOUNCEMENT: Kind(
        "Announcement", "Something else that people should know, about a topic or a circle that they asked for.",
        "bell", "nothing, unless they like",
    ),
    CampaignKind.PROMPT: Kind(
        "You too?", "Something that others felt. Those who answer hear some days later how many they were.",
        "people", "ME TOO",
    ),
}  # fmt: skip

TOPICS: dict[Topic, str] = {
    Topic.STORIES: "Hope stories",
    Topic.CHECKINS: "Check-ins",
    Topic.SESSIONS: "Sessions",
    Topic.TOOLS: "Tools",
    Topic.CIRCLE: "News of the circle",
}
CHANNELS = {"sms": "Text", "email": "Email"}
LANGUAGES = {"en": "English", "es": "Spanish"}
SCORES = {1: "1 very hard", 2: "2 hard", 3: "3 in between", 4: "4 all right", 5: "5 good"}

STATES = {
    "draft": "draft", "scheduled": "scheduled", "sending": "sending", "paused": "paused", "finished": "finished",
    "cancelled": "cancelled",
}  # fmt: skip
SHELVES = (("all", "All"), ("drafts", "Drafts"), ("on-their-way", "On their way"), ("finished", "Finished"))

SKIPPED: dict[str, str] = REASONS | {
    "stale": "could not be reached in time: by now it would be out of date",
    "prompt_withdrawn": "were spared words that somebody took back",
    "story_withdrawn": "were spared a story that its author took back",
    "gift_withdrawn": "were spared a note that its author took back",
    "quiet": "left their last check-ins unanswered, and are asked less often",
    "after_loss": "lost someone in the last weeks, and get no hope story or note now",
    "cancelled": "had not been sent it when the campaign was cancelled",
    "cannot_render": "could not be written to: a merge field has no value for them",
    "gave_up": "could not be reached after several tries",
    "opt_out": "asked us to stop",
}
"""Why a message never left, as the end of "3 members …"."""

WAITING: dict[str, str] = {
    "window": "wait until it is daytime where they are",
    "cap": "have had enough messages for now; theirs leaves when their limit allows",
    "still_there": "were silent for 90 days; theirs follows when they answer that the number is still theirs",
    "open_question": "have an earlier question open; theirs follows when that is answered or over",
    "held": "rest under an open safety flag; theirs waits for a person to clear it",
    "circle_rests": "are in a circle that rests; theirs waits for a person",
    "paused": "are taking a break; theirs waits until it is over",
    "budget": "wait because this month's budget for texts there is used up; an administrator can raise it in Settings",
    "sender_cap": "wait for tomorrow: today's limit of our sender is reached",
}
"""Why a message waits, as the end of "3 members …"."""

GROUPS: tuple[tuple[str, tuple[DeliveryState, ...], str], ...] = (
    ("Arrived", (DeliveryState.DELIVERED,), "good"),
    ("On the way", (DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.SENT), "live"),
    ("Waiting", (DeliveryState.QUEUED,), "wait"),
    ("Being looked up", (DeliveryState.UNKNOWN,), "ember"),
    ("Did not arrive", (DeliveryState.FAILED, DeliveryState.UNDELIVERED, DeliveryState.BOUNCED), "warn"),
    ("Marked as spam", (DeliveryState.COMPLAINED,), "warn"),
    ("Left out", (DeliveryState.SKIPPED,), "plain"),
)
"""The states of messages in the words and colours of the progress bar."""


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 person`, `3 people`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def spoken(code: str, words: dict[str, str]) -> str:
    """A reason in words; an unknown one with its underscores gone."""
    return words.get(code, code.replace("_", " "))


def duration(seconds: float) -> str:
    """`less than a minute`, `about 4 minutes`, `about 3 hours`."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {count(minutes, 'minute')}" if minutes < 120 else f"about {count(round(minutes / 60), 'hour')}"
