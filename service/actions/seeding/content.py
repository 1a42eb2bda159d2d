"""The demo's stories and tools, who has read which story, and who felt the same."""

from datetime import date, timedelta

from service import db
from service.actions.hope import topics
from service.actions.seeding.ground import Ground, Row, chance
from service.models.content import Attribution, Resonance, Story, StoryRead, StoryState, Tool
from service.models.members import Member

AGREED_FOR_YEARS = 2
REVIEW = timedelta(days=9)
"""From a story's arrival to its publication: two reviews, and its author's own yes."""
LONG_READ = timedelta(days=35)
"""Stories as old as this have been round, in part; younger ones are there to be sent."""
READ_BY, ME_TOO = 0.5, 0.35


def stories(ground: Ground) -> None:
    """The hope stories; nobody is sent their own."""
    for row in ground.rows.stories:
        author = ground.members[row["author"]]
        ground.stories[row["key"]] = _story(ground, row, author)
    ground.session.add_all(ground.stories.values())
    ground.session.flush()
    for row in ground.rows.stories:
        author = ground.members[row["author"]]
        story = ground.stories[row["key"]]
        ground.session.add(StoryRead(story_id=story.id, member_id=author.id, at=row["published_at"]))


def _story(ground: Ground, row: Row, author: Member) -> Story:
    attribution = Attribution(row["attribution"])
    names = {Attribution.FIRST_NAME: author.first_name, Attribution.INITIAL: f"{author.first_name[0]}."}
    published: date = row["published_at"].date()
    return Story(
        id=db.uuid7(),
        author_id=author.id,
        title=row["title"],
        about=row["about"],
        topics=",".join(topics.cleaned(row["topics"])),
        language=row["language"],
        attribution=attribution,
        author_name=names.get(attribution, ""),
        body_email=row["body_email"].strip(),
        body_sms=row["body_sms"].strip(),
        state=StoryState.PUBLISHED,
        mentions_self_harm=row["mentions_self_harm"],
        mentions_loss=row["loss"],
        me_too_allowed=row["me_too_allowed"],
        consent_page=attribution == Attribution.FIRST_NAME,
        consent_until=published + timedelta(days=365 * AGREED_FOR_YEARS),
        created_at=row["published_at"] - REVIEW,
        updated_at=row["published_at"],
        published_at=row["published_at"],
        published_by=next(c.id for c in ground.staff.values() if c.role == "safeguarding"),
    )


def tools(ground: Ground) -> None:
    """The tools, with their owners' names."""
    for row in ground.rows.tools:
        ground.tools[row["key"]] = Tool(
            id=db.uuid7(),
            title=row["title"],
            topics=",".join(row["topics"]),
            language=row["language"],
            body_sms=row["body_sms"].strip(),
            body_email=row["body_email"].strip(),
            owner=ground.staff[row["owner"]].name,
            source=row["source"],
            review_by=row["review_by"],
            created_at=ground.now - timedelta(days=150),
        )
    ground.session.add_all(ground.tools.values())


def read_before(ground: Ground) -> None:
    """Who had the older stories, from before the campaigns that are still listed, and who answered ME TOO."""
    sent = {row["story"] for row in ground.rows.campaigns if "story" in row}
    for row in ground.rows.stories:
        if row["key"] in sent or row["published_at"] > ground.now - LONG_READ:
            continue
        went_out = row["published_at"] + timedelta(days=3)
        for reader in ground.rows.members:
            if not _had_it(row, reader):
                continue
            story, member = ground.stories[row["key"]], ground.members[reader["key"]]
            ground.session.add(StoryRead(story_id=story.id, member_id=member.id, at=went_out))
            if row["me_too_allowed"] and chance("me too", row["key"], reader["key"]) < ME_TOO:
                at = went_out + timedelta(minutes=int(1800 * chance("when", row["key"], reader["key"])))
                ground.session.add(Resonance(id=db.uuid7(), story_id=story.id, member_id=member.id, at=at))
                ground.heard(member, at)
    ground.session.flush()


def _had_it(story: Row, reader: Row) -> bool:
    """Whether a member was there when the story went out, reads its language, and was among those who got it."""
    there = reader["joined"] < story["published_at"] and reader.get("state", "active") == "active"
    wanted = "stories" in reader["topics"] and reader["locale"].startswith(story["language"])
    return there and wanted and reader["key"] != story["author"] and chance(story["key"], reader["key"]) < READ_BY
