"""What keeps a campaign from being sent, what it will bring, and when each member's copy leaves."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import campaigns
from service.actions.campaigns.checking import STORY_SEGMENTS
from service.channels import render
from service.config import Settings
from service.errors import Conflict, Invalid
from service.models.campaigns import COMPOSED, Campaign, CampaignKind, CampaignState, Delivery, Schedule
from service.models.content import Story, StoryState, Tool
from service.models.gatherings import GroupSession, SessionState
from service.models.members import ChannelName, Topic
from service.models.staff import Coordinator, DutyShift, Role
from tests.flows.world import add_circle, add_member

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
ANA, BEN, CARLA = "+12025550123", "+447700900123", "+525555550123"


@pytest.fixture(autouse=True)
def _database(database: db.Database) -> None:
    """Everything here runs on SQLite and on PostgreSQL."""


def draft(kind: CampaignKind, sms: str = "", mail: str = "", *, subject: str = "Hello", **more: Any) -> UUID:
    contents = [campaigns.ContentDraft(SMS, "en", sms)] if sms else []
    contents += [campaigns.ContentDraft(EMAIL, "en", mail, subject)] if mail else []
    contents += more.pop("contents", [])
    channels = more.pop("channels", tuple(dict.fromkeys(c.channel for c in contents)))
    return campaigns.create(campaigns.Draft(name="", kind=kind, channels=channels, contents=tuple(contents), **more))


def wrong(campaign_id: UUID) -> dict[str, str]:
    """field → what is wrong there."""
    with db.reading() as session:
        found = campaigns.problems(session, campaigns.get(session, campaign_id))
        assert len({p.field for p in found}) == len(found), found
        return {p.field: p.message for p in found}


def add_story(**more: Any) -> Story:
    now = clock.now()
    with db.transaction() as session:
        values = {"body_sms": "I used to feel so.", "state": StoryState.PUBLISHED} | more
        story = Story(id=db.uuid7(), title="Small", body_email="Like that.", created_at=now, updated_at=now, **values)
        session.add(story)
    return story


def meeting() -> GroupSession:
    with db.reading() as session:
        found = session.scalar(select(GroupSession))
    assert found
    return found


def test_words_that_can_be_sent_have_no_problem() -> None:
    add_member("Ana", ANA)
    assert wrong(draft(CampaignKind.CHECKIN, "Hi {{ first_name }}. 1 very hard, 5 good")) == {}


def test_each_mistake_is_named_beside_its_field() -> None:
    assert wrong(draft(CampaignKind.CHECKIN)) == {"channels": "Choose at least one channel: texts, email or both."}
    assert wrong(draft(CampaignKind.CHECKIN, channels=(SMS,))).keys() == {"sms_en_body"}
    assert wrong(draft(CampaignKind.ANNOUNCEMENT, "Hi")).keys() == {"topic"}
    assert wrong(draft(CampaignKind.ANNOUNCEMENT, "Hi", topic=Topic.CIRCLE)) == {}
    assert wrong(draft(CampaignKind.CHECKIN, mail="Hi", subject="")).keys() == {"email_en_subject"}
    assert "frist_name" in wrong(draft(CampaignKind.CHECKIN, "{{ frist_name }}"))["sms_en_body"]
    assert wrong(draft(CampaignKind.CHECKIN, "{{ first_name")).keys() == {"sms_en_body"}
    only_subject = [campaigns.ContentDraft(EMAIL, "es", "", "Hola")]
    assert wrong(draft(CampaignKind.CHECKIN, contents=only_subject)).keys() == {"email_es_body"}


def test_a_field_asks_for_what_it_speaks_of_unless_there_is_a_fallback() -> None:
    add_member("Ana", ANA)
    assert wrong(draft(CampaignKind.STORY, "{{ story_body }}", "{{ story_body }}")).keys() == {"story_id"}
    assert wrong(draft(CampaignKind.INVITE, "{{ session_day }} YES", channels=(SMS,))).keys() == {"session_id"}
    assert "Take it out" in wrong(draft(CampaignKind.CHECKIN, "{{ tool_body }} 1 to 5"))["sms_en_body"]
    assert wrong(draft(CampaignKind.CHECKIN, '{{ circle_name or "our group" }} 1 to 5')) == {}
    assert wrong(draft(CampaignKind.CHECKIN, "{{ circle_name }} 1 to 5")).keys() == {"circle_id"}


def test_members_without_a_name_are_thought_of() -> None:
    add_member("", ANA)
    found = wrong(draft(CampaignKind.CHECKIN, "Hi {{ first_name }}. 1 to 5"))
    assert "members who have not told us their name" in found["sms_en_body"]
    assert wrong(draft(CampaignKind.CHECKIN, 'Hi {{ first_name or "there" }}. 1 to 5')) == {}


def test_every_language_is_tried_for_those_who_read_it() -> None:
    add_member("Ana", ANA)
    story = add_story(about="")
    spanish = [campaigns.ContentDraft(SMS, "es", "Sobre {{ story_about }}: {{ story_body }}")]
    campaign = draft(CampaignKind.STORY, "{{ story_body }}", story_id=story.id, contents=spanish)
    assert wrong(campaign).keys() == {"sms_es_body"}  # nobody reads it yet, and it would still fail


def test_a_discreet_members_text_is_tried_too() -> None:
    add_member("Ana", ANA)
    story = add_story(about="grief")
    campaign = draft(CampaignKind.STORY, "About {{ story_about }}: {{ story_body }}", story_id=story.id)
    assert wrong(campaign) == {}
    add_member("Dee", BEN, discreet=True)  # in discreet texts nothing says what it is about
    assert wrong(campaign).keys() == {"sms_en_body"}


def test_a_story_by_text_is_at_most_three_segments() -> None:
    add_member("Ana", ANA)
    long = add_story(body_sms="word " * 100)
    campaign = draft(CampaignKind.STORY, "{{ story_body }}", "{{ story_body }}", story_id=long.id)
    assert f"at most {STORY_SEGMENTS} segments" in wrong(campaign)["sms_en_body"]
    with pytest.raises(Invalid, match="at most 3 segments"):
        campaigns.start(campaign)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"state": StoryState.RESTING}, "story_id"),
        ({"consent_until": date(2020, 1, 1)}, "story_id"),
        ({"consent_sms": False}, "channels"),
        ({"me_too_allowed": False}, "sms_en_body"),
    ],
)
def test_what_its_author_did_not_agree_to_is_not_sent(more: dict[str, Any], field: str) -> None:
    story = add_story(**more)
    campaign = draft(CampaignKind.STORY, "{{ story_body }} Reply ME TOO.", story_id=story.id)
    assert wrong(campaign).keys() == {field}


def test_old_tools_and_sessions_that_are_over_are_not_sent() -> None:
    add_circle()
    with db.transaction() as session:
        tool = Tool(
            title="Breathe", body_sms="In.", body_email="In.", review_by=date(2020, 1, 1), created_at=clock.now()
        )
        session.add(tool)
        session.flush()
        tool_id = tool.id
    assert wrong(draft(CampaignKind.TOOL, "{{ tool_body }}", tool_id=tool_id)).keys() == {"tool_id"}
    invite = draft(CampaignKind.INVITE, "{{ session_day }} YES", session_id=meeting().id)
    assert wrong(invite) == {}
    with db.transaction() as session:
        session.get_one(GroupSession, meeting().id).state = SessionState.CANCELLED
    assert "cancelled" in wrong(invite)["session_id"]


@pytest.mark.parametrize(("kind", "language"), list(product(COMPOSED, ("en", "es"))))
def test_every_starter_can_be_sent_as_it_is(kind: CampaignKind, language: str) -> None:
    circle = add_circle()
    add_member("Ana", ANA, locale=language)
    add_member("", BEN, email="b@example.org", locale=language, prefers=EMAIL, discreet=True)
    with db.transaction() as session:
        tool = Tool(
            title="Breathe", body_sms="In, and out.", body_email="In.\n\nOut.", review_by=date(2999, 1, 1),
            created_at=clock.now(),
        )  # fmt: skip
        session.add(tool)
    contents = []
    for channel in (SMS, EMAIL):
        subject, body = campaigns.starter(kind, channel, language)
        assert body
        assert bool(subject) == (channel == EMAIL)
        assert render.check(body) == render.check(subject) == []
        contents.append(campaigns.ContentDraft(channel, language, body, subject))
    campaign = draft(
        kind, contents=contents, topic=Topic.CIRCLE, circle_id=None if kind != CampaignKind.INVITE else circle.id,
        story_id=add_story(about="grief").id if kind == CampaignKind.STORY else None,
        tool_id=tool.id if kind == CampaignKind.TOOL else None,
        session_id=meeting().id if kind == CampaignKind.INVITE else None,
    )  # fmt: skip
    assert wrong(campaign) == {}
    with db.reading() as session:
        [text, mail] = campaigns.previews(session, campaigns.get(session, campaign), None, language)
    assert isinstance(text, campaigns.Rendered)
    assert isinstance(mail, campaigns.Rendered)
    assert text.measure
    assert text.measure.segments <= 2
    assert text.text.count("YES") + text.text.count("SI,") <= 1  # the ways to answer are said once
    if kind == CampaignKind.CHECKIN:  # rule of conversation 9
        assert ("1 very hard" if language == "en" else "1 muy duro") in text.text
        assert ("5 good" if language == "en" else "5 bien") in text.text
    if kind != CampaignKind.STORY:
        assert text.measure.encoding == "GSM-7" or language == "es"


def test_the_estimate_follows_countries_segments_and_first_texts() -> None:
    ana = add_member("Ana", ANA)
    campaign = draft(CampaignKind.CHECKIN, "Hearthline: 1 very hard, 5 good", "Hi")

    def cost() -> Decimal:
        with db.reading() as session:
            found = campaigns.get(session, campaign)
            return campaigns.estimate(session, found, campaigns.reach(session, found).by_channel)

    first = cost()
    assert first == Decimal("0.0123")
    add_member("Carla", CARLA, zone="America/Mexico_City")
    assert cost() == Decimal("0.0123") + Decimal("0.0700")
    add_member("Eve", email="eve@example.org")  # an email costs nothing more
    assert cost() == Decimal("0.0823")
    campaigns.update(
        campaign,
        campaigns.Draft("", CampaignKind.CHECKIN, (SMS,), (campaigns.ContentDraft(SMS, "en", "1 to 5 " * 40),)),
    )
    assert cost() == Decimal("0.0823") * 3  # 280 characters, and how to stop on the first text
    with db.transaction() as session:
        for member_id in (ana.id,):
            for address in session.get_one(type(ana), member_id).addresses:
                address.introduced_at = clock.now()
    assert cost() == Decimal("0.0123") * 2 + Decimal("0.0700") * 3


def test_reach_counts_people_and_copies() -> None:
    add_member("Ana", ANA, email="ana@example.org", both_channels=True)
    add_member("Ben", BEN, email="ben@example.org")
    add_member("Eve", email="eve@example.org", prefers=EMAIL)
    stopped = add_member("Sue", CARLA)
    with db.transaction() as session:
        for subscription in session.get_one(type(stopped), stopped.id).subscriptions:
            subscription.state = "stopped"  # type: ignore[assignment]
    campaign = draft(CampaignKind.CHECKIN, "1 to 5", "1 to 5")
    with db.reading() as session:
        reach = campaigns.reach(session, campaigns.get(session, campaign))
    assert reach.people == 3
    assert reach.by_channel == {SMS: 2, EMAIL: 2}
    assert (reach.copies, reach.missed) == (4, 1)
    assert reach.left_out == {"topic_off": 1}


def _shift(person: Coordinator, begins: timedelta, ends: timedelta) -> None:
    with db.transaction() as session:
        now = clock.now()
        session.add(DutyShift(coordinator_id=person.id, starts_at=now + begins, ends_at=now + ends, tier=1))


def _person(name: str, *, active: bool = True) -> Coordinator:
    with db.transaction() as session:
        person = Coordinator(
            id=db.uuid7(), email=f"{name}@example.org", name=name, role=Role.COORDINATOR, active=active,
            created_at=clock.now(),
        )  # fmt: skip
        session.add(person)
    return person


def test_expected_replies_are_set_against_the_rota() -> None:
    hours = timedelta(hours=1)
    maya, noah = _person("Maya"), _person("Noah")
    _shift(maya, -hours, 8 * hours)
    _shift(noah, 8 * hours, 20 * hours)
    _shift(_person("Gone", active=False), -hours, 90 * hours)  # whoever has left the team reads nothing
    with db.reading() as session:
        found = campaigns.expected_replies(session, CampaignKind.CHECKIN, 100)
        assert (found.low, found.high, found.from_history) == (21, 49, False)
        assert found.on_duty == ["Maya", "Noah"]
        assert found.gap_from
        assert abs(found.gap_from - (clock.now() + 20 * hours)) < timedelta(seconds=5)
        assert campaigns.expected_replies(session, CampaignKind.CHECKIN, 0).high == 0
    _shift(maya, 19 * hours, 60 * hours)
    with db.reading() as session:
        assert campaigns.expected_replies(session, CampaignKind.CHECKIN, 100).gap_from is None
        assert campaigns.rota_gap(session, clock.now(), clock.now() + 100 * hours) is not None


def test_expected_replies_learn_from_the_last_campaigns() -> None:
    now = clock.now()
    with db.transaction() as session:
        campaign = Campaign(
            id=db.uuid7(), name="", kind=CampaignKind.CHECKIN, channels="sms", audience={}, created_at=now,
            updated_at=now, started_at=now - timedelta(days=5),
        )  # fmt: skip
        session.add(campaign)
        session.flush()
        for n in range(100):
            session.add(
                Delivery(campaign_id=campaign.id, channel=SMS, purpose="campaign", queue="texts", priority=1,
                         due_at=now, created_at=now, updated_at=now, sending_at=now,
                         answered_at=now if n < 80 else None)
            )  # fmt: skip
    with db.reading() as session:
        found = campaigns.expected_replies(session, CampaignKind.CHECKIN, 10)
        assert (found.low, found.high, found.from_history) == (5, 12, True)
        assert campaigns.expected_replies(session, CampaignKind.STORY, 10).from_history is False


ZONES = {"America/Los_Angeles": ANA, "Europe/London": BEN, "America/Mexico_City": CARLA, "Asia/Kolkata": "+12025550177"}


def _local_hours(campaign_id: UUID) -> dict[str, datetime]:
    """zone → when the copy of the member there is due, on their own clock."""
    from service.models.members import Member

    with db.reading() as session:
        rows = session.execute(
            select(Member.time_zone, Delivery.due_at)
            .join(Member, Member.id == Delivery.member_id)
            .where(Delivery.campaign_id == campaign_id)
        )
        return {zone: due.astimezone(ZoneInfo(zone)) for zone, due in rows}


@pytest.mark.parametrize("day", [(2031, 1, 15), (2031, 7, 15), (2031, 3, 30)], ids=["winter", "summer", "change"])
def test_the_same_hour_on_each_members_own_clock(day: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    from service.actions import zones

    at = datetime(*day, 11, 30, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: at - timedelta(days=1))
    for zone, phone in ZONES.items():
        add_member(zone, phone, zone=zone)
    campaign = draft(CampaignKind.ANNOUNCEMENT, "Hello", topic=Topic.CIRCLE)
    campaigns.start(campaign, schedule=Schedule.LOCAL, local=at.strftime("%Y-%m-%dT%H:%M"))
    with db.reading() as session:
        first = session.get_one(Campaign, campaign).scheduled_at
    assert first == at.replace(tzinfo=ZoneInfo("Asia/Kolkata")).astimezone(UTC)  # the easternmost begins
    monkeypatch.setattr(clock, "now", lambda: first)
    zones.refresh()
    assert campaigns.start_due() == 1
    found = _local_hours(campaign)
    assert found.keys() == ZONES.keys()
    assert {due.strftime("%Y-%m-%d %H:%M") for due in found.values()} == {at.strftime("%Y-%m-%d %H:%M")}


def test_an_hour_outside_the_window_waits_for_daytime(configure: Callable[..., Settings]) -> None:
    configure(sending_window="10:00-18:00")
    for zone, phone in ZONES.items():
        add_member(zone, phone, zone=zone)
    tomorrow = clock.now() + timedelta(days=2)
    campaign = draft(CampaignKind.ANNOUNCEMENT, "Hello", topic=Topic.CIRCLE)
    campaigns.start(campaign, schedule=Schedule.LOCAL, local=tomorrow.strftime("%Y-%m-%dT07:15"))
    campaigns.freeze(campaign)
    assert {due.strftime("%H:%M") for due in _local_hours(campaign).values()} == {"10:00"}
    with db.reading() as session:
        found = campaigns.get(session, campaign)
        early = campaigns.outlook(session, found, clock.now(), tomorrow.strftime("%Y-%m-%dT07:15"))
        good = campaigns.outlook(session, found, clock.now(), tomorrow.strftime("%Y-%m-%dT11:15"))
    assert (early.at_once, early.later) == (0, 4)
    assert early.last
    assert (good.at_once, good.later, good.last) == (4, 0, None)


def test_a_moment_that_has_passed_or_cannot_be_read_is_refused() -> None:
    add_member("Ana", ANA)
    campaign = draft(CampaignKind.CHECKIN, "1 to 5")
    for more, reason in (
        ({"schedule": Schedule.AT, "at": clock.now() - timedelta(hours=1)}, "That time has passed"),
        ({"schedule": Schedule.LOCAL, "local": "2020-01-01T10:00"}, "their clocks are ahead"),
        ({"schedule": Schedule.LOCAL, "local": "soon"}, "Choose a day and an hour"),
        ({"schedule": Schedule.AT}, "Choose a day and an hour"),
    ):
        with pytest.raises(Invalid, match=reason) as refused:
            campaigns.start(campaign, **more)  # type: ignore[arg-type]
        assert refused.value.field == "at"
    with db.reading() as session:
        assert session.get_one(Campaign, campaign).state == CampaignState.DRAFT


def test_what_has_left_the_drafts_is_not_edited() -> None:
    add_member("Ana", ANA)
    campaign = draft(CampaignKind.CHECKIN, "1 to 5")
    campaigns.start(campaign)
    with pytest.raises(Conflict, match="Copy it"):
        campaigns.update(campaign, campaigns.Draft("", CampaignKind.CHECKIN, (SMS,)))


def test_the_time_that_is_left_follows_the_last_minute() -> None:
    now = clock.now()
    fast = campaigns.Progress({"queued": 100, "sent": 60}, {}, {"window": 40}, {}, {}, last_minute=60)
    assert fast.ready == 60
    assert fast.seconds_left(now - timedelta(minutes=9)) == pytest.approx(60)
    assert fast.seconds_left(now - timedelta(seconds=10)) == pytest.approx(10, abs=0.5)
    assert campaigns.Progress({"queued": 5}, {}, {"window": 5}, {}, {}).seconds_left(now) == 0
    assert campaigns.Progress({"queued": 5}, {}, {}, {}, {}).seconds_left(now) is None
