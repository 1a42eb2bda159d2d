"""The demo's series of tools, what members said about cards, and the check-in that comes round every week."""

from datetime import timedelta

from service import db
from service.actions.checkins import days
from service.actions.seeding.ground import Ground, chance
from service.models.checkins import Every, Rhythm
from service.models.members import MemberState
from service.models.tools import ToolRead, ToolSeries, ToolSeriesCard

ASKED, ANSWERED = 0.16, 0.7
"""The share of members who asked for a card, and of those who said whether it helped."""
FIRST = timedelta(days=2)
"""The rhythm's first day is not today: the first minutes of the demo are quiet."""


def series(ground: Ground) -> None:
    """The series, with the cards of their days."""
    for row in ground.rows.series:
        made = ToolSeries(
            id=db.uuid7(), title=row["title"], language=row["language"], local_time=row["local_time"],
            owner=ground.staff[row["owner"]].name, created_at=ground.now - timedelta(days=90),
        )  # fmt: skip
        ground.session.add(made)
        ground.session.flush()
        for day, key in enumerate(row["cards"], start=1):
            ground.session.add(ToolSeriesCard(series_id=made.id, day=day, tool_id=ground.tools[key].id))


def answers(ground: Ground) -> None:
    """Who asked for which card, and whether it helped: the ranking has something to go by."""
    for tool_row in ground.rows.tools:
        tool = ground.tools[tool_row["key"]]
        liked = 0.35 + 0.6 * chance("liked", tool_row["key"])
        for row in ground.rows.members:
            member, key = ground.members[row["key"]], (tool_row["key"], row["key"])
            if member.state != MemberState.ACTIVE or member.language != tool.language or member.held_at is not None:
                continue
            if chance("asked for", *key) >= ASKED * (1 if tool.language == "en" else 3):
                continue
            at = ground.now - timedelta(days=3 + 60 * chance("asked when", *key))
            if at < row["joined"]:
                continue
            helped = chance("helped", *key) < liked if chance("said", *key) < ANSWERED else None
            topic = tool_row["topics"][0]
            read = ToolRead(tool_id=tool.id, member_id=member.id, topic=topic, at=at, helped=helped)
            read.answered_at = at + timedelta(hours=2) if helped is not None else None
            ground.session.add(read)
            ground.heard(member, at)
    ground.session.flush()


def rhythms(ground: Ground) -> None:
    """The weekly check-in, in the words of a campaign that went well."""
    for row in ground.rows.rhythms:
        words = next(each for each in ground.rows.campaigns if each["key"] == row["words_of"])
        day = (ground.now + FIRST).date()
        made = Rhythm(
            id=db.uuid7(), name=row["name"], every=Every(row["every"]), local_time=row["local_time"],
            days=",".join(str(number) for number in row["days"]), starts_on=ground.now.date(),
            circle_id=ground.circles[row["circle"]].id if "circle" in row else None, channels=",".join(row["channels"]),
            contents=[
                {"channel": c["channel"], "language": c["language"], "subject": c.get("subject", ""),
                 "body": c["body"].strip()}
                for c in words["content"]
                if c["channel"] in row["channels"]
            ],
            created_by=ground.staff[row["created_by"]].id, created_at=ground.now - timedelta(days=1),
            updated_at=ground.now - timedelta(days=1),
        )  # fmt: skip
        if row.get("paused"):
            made.paused_at = ground.now - timedelta(hours=20)
        else:
            made.next_on = days.next_days(made, day, 1)[0]
        ground.session.add(made)
    ground.session.flush()
