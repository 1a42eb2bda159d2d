"""Stories in rotation: each member's next one, never twice, in their language, about nothing that they left out."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from service import clock, db
from service.actions import audience, campaigns, stories
from service.actions.checkins import making, rhythms
from service.actions.checkins.rhythms import RhythmDetails
from service.actions.hope import topics
from service.actions.stories import StoryDetails
from service.models.campaigns import Campaign, CampaignKind, Delivery, DeliveryState
from service.models.checkins import Every, RhythmKind
from service.models.content import Lived, Story, StoryRead
from service.models.members import Member
from tests.flows.replies import ANA, MAIL
from tests.flows.talk import NOON, Talk
from tests.flows.test_stories_told import BEA, CLEO, SHORT, wren
from tests.flows.world import EMAIL, SMS, add_member, send
from tests.web.desk import change

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
WORDS = tuple(
    {"channel": channel, "language": language, "subject": subject, "body": body}
    for channel, language, subject, body in (
        ("sms", "en", "", "{{ story_body }}"),
        ("sms", "es", "", "{{ story_body }}"),
        ("email", "en", "A story", "{{ story_body }}\n\nYou can answer ME TOO."),
    )
)
DAYS = [date(2026, 5, 6), date(2026, 5, 13), date(2026, 5, 20)]


def out(title: str, **more: Any) -> Story:
    """A published story; its title is in its text."""
    values: dict[str, Any] = {
        "title": title, "body_email": f"{title}. {SHORT}", "body_sms": f"{title}. {SHORT}", "consent_sms": True,
        "consent_email": True, "lived": Lived.NONE,
    }  # fmt: skip
    made = stories.save(None, wren(), StoryDetails(**values | more))
    stories.publish(made, wren(), looked=True)
    with db.reading() as session:
        there = session.scalar(select(func.count()).select_from(Story)) or 0
    change(Story, made, published_at=NOON - timedelta(days=100 - there))  # one after the other
    with db.reading() as session:
        return session.get_one(Story, made)


def weekly(**more: Any) -> Any:
    values: dict[str, Any] = {
        "name": "A story", "every": Every.WEEK, "days": (2,), "local_time": "12:00", "channels": (SMS, EMAIL),
        "contents": WORDS, "kind": RhythmKind.STORY,
    }  # fmt: skip
    return rhythms.save(None, wren(), RhythmDetails(**values | more))


def let_pass(talk: Talk, day: date) -> dict[str, list[str]]:
    """The clock makes, freezes and lets leave what is due that day; address → titles that came."""
    before = len(talk.left)
    with clock.frozen_at(datetime(day.year, day.month, day.day, 11, tzinfo=NOON.tzinfo)):
        making.make_due()
        assert making.make_due() == 0  # once, however often the clock looks
    with clock.frozen_at(datetime(day.year, day.month, day.day, 17, tzinfo=NOON.tzinfo)):
        campaigns.start_due()
        talk.deliver()
    found: dict[str, list[str]] = {}
    for left in talk.left[before:]:
        found.setdefault(left.to, []).append(_title(left.delivery_id))
    return found


def _title(delivery_id: int) -> str:
    with db.reading() as session:
        delivery = session.get_one(Delivery, delivery_id)
        campaign = session.get_one(Campaign, delivery.campaign_id)
        return session.get_one(Story, campaign.story_id).title


def test_each_gets_their_next_one_and_nobody_two(talk: Talk) -> None:
    first = out("First")
    out("Second")
    out("Primera", language="es")
    ana = add_member("Ana", ANA)
    add_member("Bea", BEA)
    add_member("Cleo", CLEO, locale="es")
    add_member("Dora", None, MAIL)
    add_member("Eve", "+12025550180", "eve@example.org", both_channels=True)
    with db.transaction() as session:
        session.add(StoryRead(story_id=first.id, member_id=ana.id, at=clock.now()))
    weekly()
    assert let_pass(talk, DAYS[0]) == {
        ANA: ["Second"], BEA: ["First"], CLEO: ["Primera"], MAIL: ["First"], "+12025550180": ["First"],
        "eve@example.org": ["First"],
    }  # fmt: skip
    with db.reading() as session:
        made = session.scalars(select(Campaign)).all()
        assert len(made) == 3  # few campaigns, one for each story that somebody got
        assert {campaign.occurs_on for campaign in made} == {DAYS[0]}
    assert let_pass(talk, DAYS[1]) == {
        BEA: ["Second"], MAIL: ["Second"], "+12025550180": ["Second"], "eve@example.org": ["Second"],
    }  # fmt: skip
    assert let_pass(talk, DAYS[2]) == {}  # everybody has had everything: a week without one


def test_what_is_left_out_never_comes_by_rotation_campaign_or_on_request(talk: Talk) -> None:
    out("Loss", topics=("Duelo", "family"), mentions_loss=False)
    out("Sleep", topics=("sleep",))
    ana = add_member("Ana", ANA)
    add_member("Bea", BEA)
    with db.transaction() as session:
        assert [row[0] for row in topics.offered(session, ana.id, "en")] == ["family", "grief", "sleep"]
        assert topics.leave_out(session, ana.id, ["grief"])
    weekly()
    assert let_pass(talk, DAYS[0]) == {ANA: ["Sleep"], BEA: ["Loss"]}
    with db.reading() as session:
        loss = session.scalars(select(Story).where(Story.title == "Loss")).one()
        left = audience.summary(session, audience.Audience((SMS,), None, story_id=loss.id)).left_out
    assert left == {"topic_left_out": 1, "already_read": 1}
    assert talk.text(ANA, "READ") == ["story_no_more"]


@ONE
def test_a_topic_left_out_after_the_freeze_is_judged_at_the_claim(talk: Talk) -> None:
    story = out("Loss", topics=("grief",))
    ana = add_member("Ana", ANA)
    campaign_id = send(CampaignKind.STORY, "{{ story_body }}", story_id=story.id)
    campaigns.freeze(campaign_id)
    with db.transaction() as session:
        topics.leave_out(session, ana.id, ["grief"])
    talk.deliver()
    with db.reading() as session:
        delivery = session.scalars(select(Delivery)).one()
        assert (delivery.state, delivery.reason) == (DeliveryState.SKIPPED, "topic_left_out")


def test_a_story_by_mail_only_does_not_keep_others_from_those_with_a_phone(talk: Talk) -> None:
    out("By mail", consent_sms=False)
    out("Both")
    add_member("Ana", ANA)
    add_member("Dora", None, MAIL)
    weekly()
    assert let_pass(talk, DAYS[0]) == {ANA: ["Both"], MAIL: ["By mail"]}


@ONE
def test_flags_and_losses_wait_and_a_story_without_me_too_asks_for_none(talk: Talk) -> None:
    out("Quiet", me_too_allowed=False)
    ana = add_member("Ana", ANA)
    add_member("Bea", BEA, loss_on=NOON.date())
    add_member("Dora", None, MAIL)
    change(Member, ana.id, held_at=clock.now())
    weekly()
    assert let_pass(talk, DAYS[0]) == {MAIL: ["Quiet"]}
    assert "ME TOO" not in talk.last.body
    change(Member, ana.id, held_at=None)
    change(Member, ana.id, loss_on=NOON.date() - timedelta(weeks=9))
    assert let_pass(talk, DAYS[1]) == {ANA: ["Quiet"]}
