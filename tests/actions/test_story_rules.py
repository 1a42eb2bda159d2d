"""A story's way: marks for a reviewer, the author's yes to the exact words, a second person, and back at any time."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import campaigns, stories, story_checks, tools
from service.actions.delivery import claims
from service.actions.resonance import counting
from service.actions.stories import StoryDetails
from service.actions.tools import ToolDetails
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.campaigns import CampaignKind, Delivery
from service.models.content import Attribution, Lived, Story, StoryState
from service.models.members import Member
from service.models.staff import Coordinator, Role
from tests.flows.world import add_member, send
from tests.web.desk import ANA, change

WORDS = "I used to feel like that. Saying it out loud helped, and so did walking. Need someone now? Reply HELP."
HARD = "There was a night when I wanted to die. I rang a line, and my sister sat with me. It gets lighter."


def person(name: str = "Wren Castillo", role: Role = Role.COORDINATOR) -> Coordinator:
    with db.transaction() as session:
        made = Coordinator(
            id=db.uuid7(), email=f"{name.split()[0].lower()}@example.org", name=name, role=role, created_at=clock.now()
        )
        session.add(made)
    return made


def details(**more: Any) -> StoryDetails:
    values: dict[str, Any] = {
        "title": "Small mornings", "body_email": WORDS, "body_sms": WORDS, "consent_sms": True, "consent_email": True,
    }  # fmt: skip
    return StoryDetails(**values | more)


def get(story_id: Any) -> Story:
    with db.reading() as session:
        return session.get_one(Story, story_id)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("He took all the pills that night", "method", "took all the pills"),
        ("I used to cut myself", "method", "cut myself"),
        ("My uncle shot himself", "method", "shot himself"),
        ("Me cortaba cuando nadie miraba", "method", "Me cortaba"),
        ("I stood on the bridge for an hour", "place", "the bridge"),
        ("Pensé en el puente", "place", "el puente"),
        ("My brother committed suicide", "wording", "committed suicide"),
        ("after a failed attempt", "wording", "failed attempt"),
        ("There is an epidemic of this", "wording", "epidemic"),
        ("He is in a better place", "wording", "in a better place"),
        ("It seemed the only way out", "wording", "the only way out"),
        ("I drank 12 pints a day", "amount", "12 pints"),
        ("40 mg in the morning", "amount", "40 mg"),
        ("When I was 15 it began", "minor", "When I was 15"),
        ("my 9-year-old asked", "minor", "9-year-old"),
        ("Ring me on 202-555-0123", "personal", "202-555-0123"),
        ("write to ana@example.org", "personal", "ana@example.org"),
        ("it is on www.example.org/me", "personal", "www.example.org/me"),
        ("I am @quietana there", "personal", "@quietana"),
        ("We lived at 14 Lantern lane then", "personal", "14 Lantern lane"),
        ("Then my friend Marcus came", "name", "Marcus"),
        ("I worked for Northgate for years", "name", "Northgate"),
    ],
)
def test_what_must_not_stand_there_is_marked_with_a_reason(settings: object, text: str, kind: str, words: str) -> None:
    found = {(f.kind, f.words(text)) for f in story_checks.findings(text)}
    assert (kind, words) in found
    assert all(f.why for f in story_checks.findings(text))
    assert "".join(piece for piece, _ in story_checks.marked(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        "On Tuesday I walked to work. Nobody saw. In March it was lighter, and Christmas was almost good.",
        "I've been sober for 15 years. One small thing each day: the kettle, the dog, a letter to my mum.",
        "El martes salí a caminar. Nadie me vio. “Está bien”, dije.",
    ],
)
def test_plain_words_are_left_alone(settings: object, text: str) -> None:
    assert story_checks.findings(text) == []


@pytest.mark.parametrize(
    ("text", "self_harm", "me_too"),
    [
        (WORDS, False, True),
        (HARD, True, False),
        ("I thought about suicide every day", True, False),
        ("quería morir y no lo dije", True, False),
        ("After I was sexually assaulted I told nobody", False, False),
        ("I could have died of shame. My phone died, too.", False, True),
    ],
)
def test_topics_that_ask_for_care(settings: object, text: str, self_harm: bool, me_too: bool) -> None:
    assert story_checks.mentions_self_harm(text) is self_harm
    assert story_checks.forbids_me_too(text) is not me_too


def test_a_story_without_an_author_is_published_by_one_person(database: db.Database) -> None:
    wren = person()
    made = stories.save(None, wren, details(topics=("Grief ", "")))
    assert get(made).state == StoryState.DRAFT
    assert get(made).topics == "grief"
    assert stories.publish(made, wren, looked=False) == StoryState.PUBLISHED
    assert get(made).published_by == wren.id
    with pytest.raises(Conflict, match="published"):
        stories.save(made, wren, details(title="Other"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"body_sms": "long " * 120}, "segments"),
        ({"body_sms": "Read it on https://example.org"}, "link"),
        ({"body_sms": " "}, "Write it for mail and for text"),
        ({"consent_sms": False, "consent_email": False}, "agreed to no channel"),
        ({"consent_until": clock.now().date() - timedelta(days=1)}, "consent has ended"),
    ],
)
def test_what_keeps_a_story_back_is_said(database: db.Database, more: dict[str, Any], words: str) -> None:
    wren = person()
    made = stories.save(None, wren, details(**more))
    with pytest.raises(Conflict, match=words):
        stories.publish(made, wren, looked=True)
    assert get(made).state == StoryState.DRAFT


def test_marked_places_have_to_be_looked_at(database: db.Database) -> None:
    wren = person()
    made = stories.save(None, wren, details(body_email=f"{WORDS} Then Marcus rang. My friend Marcus."))
    with pytest.raises(Invalid) as refused:
        stories.publish(made, wren, looked=False)
    assert refused.value.field == "looked"
    assert stories.publish(made, wren, looked=True) == StoryState.PUBLISHED


def test_the_author_says_yes_to_exactly_these_words(database: db.Database) -> None:
    wren, ana = person(), add_member("Ana", ANA)
    mine = {"author_id": ana.id, "attribution": Attribution.FIRST_NAME, "author_name": "Ana"}
    made = stories.save(None, wren, details(**mine))
    with pytest.raises(Conflict, match="has not approved these exact words"):
        stories.publish(made, wren, looked=True)
    for how, on in (("", clock.now().date()), ("phone", None), ("phone", clock.now().date() + timedelta(days=2))):
        with pytest.raises(Invalid):
            stories.note_approval(made, wren, how, on)
    stories.note_approval(made, wren, "phone", clock.now().date())
    with db.reading() as session:
        noted = stories.approval(session, session.get_one(Story, made))
    assert noted is not None
    assert (noted.how, noted.noted_by) == ("by phone", "Wren Castillo")
    stories.save(made, wren, details(**mine, body_email=WORDS + " One more sentence."))
    with db.reading() as session:
        assert stories.approval(session, session.get_one(Story, made)) is None
    with pytest.raises(Conflict):
        stories.publish(made, wren, looked=True)
    stories.save(made, wren, details(**mine))  # the very words again
    assert stories.publish(made, wren, looked=True) == StoryState.PUBLISHED


def test_a_story_of_self_harm_takes_two_people_and_has_no_me_too(database: db.Database) -> None:
    wren, safia = person(), person("Safia Rahman", Role.SAFEGUARDING)
    told = details(body_email=HARD, mentions_self_harm=False, me_too_allowed=True, lived=Lived.YEAR)
    made = stories.save(None, wren, told)
    assert get(made).mentions_self_harm  # found, though nobody ticked it
    assert not get(made).me_too_allowed
    assert stories.publish(made, wren, looked=True) == StoryState.SECOND_REVIEW
    with pytest.raises(Conflict, match="You were the first"):
        stories.publish(made, wren, looked=True)
    stories.save(made, wren, details(body_email=HARD + " Slowly.", lived=Lived.YEAR))
    assert get(made).state == StoryState.REVIEW  # other words: the first yes is worth nothing any more
    assert stories.publish(made, safia, looked=True) == StoryState.SECOND_REVIEW
    assert stories.publish(made, wren, looked=True) == StoryState.PUBLISHED


def test_a_story_waits_a_year_unless_a_lead_says_why(database: db.Database) -> None:
    wren, safia = person(), person("Safia Rahman", Role.SAFEGUARDING)
    made = stories.save(None, wren, details(mentions_loss=True))
    with pytest.raises(Conflict, match="how long ago it was"):
        stories.publish(made, wren, looked=True)
    stories.save(made, wren, details(mentions_loss=True, lived=Lived.RECENT))
    with pytest.raises(Conflict, match="less than a year"):
        stories.publish(made, wren, looked=True)
    with pytest.raises(Forbidden):
        stories.note_early(made, wren, "It is beautiful.")
    with pytest.raises(Invalid, match="in a sentence"):
        stories.note_early(made, safia, " ")
    stories.note_early(made, safia, "He asked for it, and has support.")
    assert stories.publish(made, wren, looked=True) == StoryState.PUBLISHED
    assert [f.kind for f in story_checks.findings("We said goodbye last week, ayer lloré.")] == ["recent", "recent"]


def test_nothing_is_published_while_its_author_is_under_a_flag(database: db.Database) -> None:
    wren, ana = person(), add_member("Ana", ANA)
    made = stories.save(None, wren, details(author_id=ana.id))
    stories.note_approval(made, wren, "person", clock.now().date())
    change(Member, ana.id, held_at=clock.now())
    with pytest.raises(Conflict, match="under a safety flag"):
        stories.publish(made, wren, looked=True)


def test_withdrawing_stops_what_is_queued(database: db.Database) -> None:
    wren = person()
    add_member("Ana", ANA)
    made = stories.save(None, wren, details())
    stories.publish(made, wren, looked=True)
    campaign = send(CampaignKind.STORY, "{{ story_body }}", story_id=made)
    campaigns.start_due()
    claimed = claims.claim("texts", 10).claimed
    assert len(claimed) == 1
    stories.withdraw(made, wren)
    assert get(made).state == StoryState.WITHDRAWN
    assert get(made).withdrawn_at is not None
    assert claims.mark_sending(claimed) == set()  # taken back before a byte of it left
    assert claims.claim("texts", 10).claimed == []
    with db.reading() as session:
        row = session.scalars(select(Delivery).where(Delivery.campaign_id == campaign)).one()
    assert (row.state, row.reason) == ("skipped", "story_withdrawn")


def test_a_published_story_is_taken_back_to_be_changed(database: db.Database) -> None:
    wren = person()
    made = stories.save(None, wren, details())
    stories.publish(made, wren, looked=True)
    with pytest.raises(Conflict):
        stories.decline(made, wren)
    stories.take_back(made, wren)
    stories.save(made, wren, details(title="Other"))
    assert get(made).title == "Other"
    stories.decline(made, wren)
    assert get(made).state == StoryState.DECLINED


def test_felt_by_is_never_told_below_five_nor_to_the_last_one(database: db.Database) -> None:
    wren = person()
    made = stories.save(None, wren, details())
    for number in range(7):
        member = add_member(f"M{number}", f"+1202555010{number}")
        with db.transaction() as session:
            counting.record(session, session.get_one(Story, made), member, None, clock.now())
        with db.reading() as session:
            words = stories.felt_words(session, [made])[made]
        assert words == ("too few to say" if number < 5 else "5 or more")


def test_a_circle_coordinator_reads_what_is_published_and_changes_nothing(database: db.Database) -> None:
    wren, dorothy = person(), person("Dorothy Amsel", Role.CIRCLE_COORDINATOR)
    made = stories.save(None, wren, details())
    with db.reading() as session, pytest.raises(NotFound):
        stories.require(session, dorothy, made)
    for act in (stories.withdraw, stories.take_back):
        with pytest.raises(Forbidden):
            act(made, dorothy)
    with pytest.raises(Forbidden):
        stories.save(None, dorothy, details())
    stories.publish(made, wren, looked=True)
    with db.reading() as session:
        assert stories.require(session, dorothy, made).id == made
        assert [s.id for s in stories.listed(session, dorothy, states=tuple(StoryState))] == [made]


def test_a_tool_is_read_again_by_a_day_that_is_to_come(database: db.Database) -> None:
    wren, today = person(), clock.now().date()
    card = {"title": "Breath", "body_sms": "In, out.", "body_email": "In, out."}
    for day in (None, today, today + timedelta(days=1000)):
        with pytest.raises(Invalid):
            tools.save(None, wren, ToolDetails(**card, review_by=day))
    made = tools.save(None, wren, ToolDetails(**card, review_by=today + timedelta(days=90), topics=["Sleep"]))
    with db.reading() as session:
        assert [(t.id, t.topics) for t in tools.listed(session)] == [(made, "sleep")]
        assert tools.listed(session, "es") == []
    with pytest.raises(Invalid):
        tools.save(made, wren, ToolDetails(**card | {"body_sms": " "}, review_by=today + timedelta(days=90)))
