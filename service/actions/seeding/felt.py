"""The demo's ME TOOs as they have been told, and prompts that wait for the weekly "you too?"."""

from datetime import timedelta

from sqlalchemy import func, select

from service import db
from service.actions import campaigns
from service.actions.checkins import days
from service.actions.resonance import counting, prompts
from service.actions.seeding.ground import Ground
from service.models.campaigns import CampaignKind
from service.models.checkins import Every, Rhythm, RhythmKind
from service.models.content import Prompt, Resonance
from service.models.members import ChannelName

FIRST = timedelta(days=3)
"""The rhythm's first day: the first minutes of the demo are quiet."""
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
    writer = next(c.id for c in ground.staff.values() if c.role == "coordinator")
    for position, (english, spanish) in enumerate(OURS, 1):
        ground.session.add(
            Prompt(
                id=db.uuid7(), words_en=english, words_es=spanish, position=position, created_by=writer,
                created_at=ground.now - timedelta(days=2),
            )
        )  # fmt: skip
    ground.session.flush()
    prompts.adopt(ground.session)
    day = (ground.now + FIRST).date()
    made = Rhythm(
        id=db.uuid7(), kind=RhythmKind.PROMPT, name="You too?", every=Every.WEEK, days=str(day.weekday()),
        local_time="17:00", starts_on=day, channels="sms,email", contents=_contents(), created_by=writer,
        created_at=ground.now - timedelta(days=1), updated_at=ground.now - timedelta(days=1),
    )  # fmt: skip
    made.next_on = days.next_days(made, day, 1)[0]
    ground.session.add(made)
    ground.session.flush()


def _contents() -> list[dict[str, str]]:
    contents = []
    for channel in ChannelName:
        for language in ("en", "es"):
            subject, body = campaigns.starter(CampaignKind.PROMPT, channel, language)
            contents.append({"channel": channel.value, "language": language, "subject": subject, "body": body})
    return contents
