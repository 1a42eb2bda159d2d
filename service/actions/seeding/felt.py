"""The demo's ME TOOs as they have been told, and what comes round each week: a "you too?" and a hope story."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from service import db
from service.actions import campaigns
from service.actions.checkins import days
from service.actions.checkins.kinds import KINDS
from service.actions.resonance import counting, prompts
from service.actions.seeding.ground import Ground
from service.models.campaigns import CampaignKind
from service.models.checkins import Every, Rhythm, RhythmKind
from service.models.content import Prompt, Resonance
from service.models.members import ChannelName

PROMPTS, STORIES = timedelta(days=3), timedelta(days=4)
"""The first days of the two rhythms: the first minutes of the demo are quiet."""
OURS = (
    ("On Sunday evenings I dread the week.", "Los domingos por la noche me pesa la semana."),
    ("I say yes, and wish afterwards that I had said no.", "Digo que sí, y después querría haber dicho que no."),
    ("When somebody asks how I am, I say fine before I know.", None),
)
"""Words that a coordinator wrote, English and Spanish; the last still waits for its Spanish."""


def told(ground: Ground) -> None:
    """What readers and authors have heard by now of each story: else the first minute would bring old news."""
    counts = select(Resonance.story_id, func.count(), func.max(Resonance.at)).where(Resonance.story_id.is_not(None))
    found = {story_id: (n, at) for story_id, n, at in ground.session.execute(counts.group_by(Resonance.story_id))}
    for story in ground.stories.values():
        number, story.felt_at = found.get(story.id, (0, None))
        story.felt_shown = counting.rounded(max(number - 1, 0))
        story.felt_told = counting.step(story.felt_shown)
    ground.session.flush()


def asked(ground: Ground) -> None:
    """The line of prompts, and the rhythm that asks the first of them each week."""
    for position, (english, spanish) in enumerate(OURS, 1):
        ground.session.add(
            Prompt(
                id=db.uuid7(), words_en=english, words_es=spanish, position=position, created_by=_writer(ground),
                created_at=ground.now - timedelta(days=2),
            )
        )  # fmt: skip
    ground.session.flush()
    prompts.adopt(ground.session)
    _weekly(ground, RhythmKind.PROMPT, "You too?", PROMPTS, "17:00")


def in_rotation(ground: Ground) -> None:
    """The rhythm of hope stories: each member gets the next one that they have never had."""
    _weekly(ground, RhythmKind.STORY, "A story from one of us", STORIES, "12:00")


def _weekly(ground: Ground, kind: RhythmKind, name: str, first: timedelta, local_time: str) -> None:
    day = (ground.now + first).date()
    made = Rhythm(
        id=db.uuid7(), kind=kind, name=name, every=Every.WEEK, days=str(day.weekday()), local_time=local_time,
        starts_on=day, channels="sms,email", contents=_contents(KINDS[kind].campaign), created_by=_writer(ground),
        created_at=ground.now - timedelta(days=1), updated_at=ground.now - timedelta(days=1),
    )  # fmt: skip
    made.next_on = days.next_days(made, day, 1)[0]
    ground.session.add(made)
    ground.session.flush()


def _writer(ground: Ground) -> UUID:
    return next(c.id for c in ground.staff.values() if c.role == "coordinator")


def _contents(kind: CampaignKind) -> list[dict[str, str]]:
    contents = []
    for channel in ChannelName:
        for language in ("en", "es"):
            subject, body = campaigns.starter(kind, channel, language)
            contents.append({"channel": channel.value, "language": language, "subject": subject, "body": body})
    return contents
