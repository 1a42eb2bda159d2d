"""Tools, told as stories: asked for by text and by mail, whether they helped, and a series over several evenings."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from service import clock, db
from service.actions import campaigns, consent, leaving, safety, tools
from service.actions.tools import choosing, series_cards
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Schedule
from service.models.content import Tool
from service.models.members import ChannelName, Member, Topic
from service.models.tools import SeriesReader, ToolRead, ToolSeries, ToolSeriesCard
from tests.flows.replies import ANA, BEN, MAIL, later, of, on_duty
from tests.flows.talk import NOON, SMS, Talk, flags, waits
from tests.flows.world import add_member

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def card(title: str, topics: str, *, language: str = "en", days: int = 100, body: str = "") -> Tool:
    with db.transaction() as session:
        tool = Tool(
            id=db.uuid7(), title=title, topics=topics, language=language, body_sms=body or f"{title}, briefly.",
            body_email=body or f"{title}, at length.", review_by=NOON.date() + timedelta(days=days), created_at=NOON,
        )  # fmt: skip
        session.add(tool)
    return tool


def shelf() -> dict[str, Tool]:
    made = [
        card("Five in, five out", "anxiety,panic,breathing"),
        card("Awake at night", "sleep,night"),
        card("A worry list", "worry,sleep"),
        card("Say it once", "boundaries,family"),
        card("Respirar", "anxiety,breathing", language="es"),
        card("Old advice", "anger", days=-1),
    ]
    return {tool.title: tool for tool in made}


def small_evenings(cards: int = 3, *, language: str = "en", hour: str = "18:00") -> ToolSeries:
    found = [card(f"Evening {n}", "", language=language) for n in range(1, cards + 1)]
    with db.transaction() as session:
        made = ToolSeries(
            id=db.uuid7(), title="Small evenings", language=language, local_time=hour, owner="Maya", created_at=NOON
        )
        session.add(made)
        session.flush()
        for day, tool in enumerate(found, start=1):
            session.add(ToolSeriesCard(series_id=made.id, day=day, tool_id=tool.id))
    return made


def read_of(member: Member) -> dict[str, bool | None]:
    with db.reading() as session:
        rows = session.execute(
            select(Tool.title, ToolRead.helped)
            .join(Tool, Tool.id == ToolRead.tool_id)
            .where(ToolRead.member_id == member.id)
        )
        return {str(title): helped for title, helped in rows}


def reader_of(member: Member) -> SeriesReader:
    with db.reading() as session:
        return session.scalars(
            select(SeriesReader).where(SeriesReader.member_id == member.id).order_by(SeriesReader.started_at.desc())
        ).first()  # type: ignore[return-value]


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    with clock.frozen_at(moment):
        yield


def evening(talk: Talk, day: int, *, hour: int = 22, minute: int = 1) -> list[str]:
    """Everything that the clock does on an evening (22:00 UTC is 18:00 in New York); the words that left."""
    with at(NOON.replace(hour=hour, minute=minute) + timedelta(days=day)):
        series_cards.send_due()
        campaigns.start_due()
        gone = [out.body for out in talk.deliver()]
        campaigns.finish_done()
    return gone


def test_a_topic_is_answered_with_its_best_card_by_text_and_by_mail(talk: Talk) -> None:
    shelf()
    ana, ben = add_member("Ana", ANA), add_member("Ben", None, MAIL)
    assert talk.text(ANA, "TOOL anxiety") == ["tool_card"]
    assert talk.last.body.startswith("Anxiety: Five in, five out, briefly. Did it help?")
    assert talk.mail(MAIL, "tool: sleep") == ["tool_card"]
    assert "Awake at night, at length." in talk.last.body
    assert "HELPED or NOT REALLY" in talk.last.body
    assert not waits(ana)
    assert not waits(ben)
    assert talk.mail(MAIL, "HELPED", answers=talk.last) == ["tool_noted"]
    assert read_of(ben) == {"Awake at night": True}
    assert talk.text(ANA, "not really") == ["tool_noted"]
    assert "not really" in talk.last.body
    assert read_of(ana) == {"Five in, five out": False}


@ONE
@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("tool sleep", "Awake at night"),
        ("TOOL SLEP", "Awake at night"),
        ("Tool insomnia please", "Awake at night"),
        ("tool for anxiety", "Five in, five out"),
        ("tool panic attack", "Five in, five out"),
        ("Tools boundries", "Say it once"),
        ("tool saying no", "Say it once"),
        ("Tool: can't sleep", "Awake at night"),
    ],
)
def test_typos_and_other_names_are_understood(talk: Talk, words: str, title: str) -> None:
    shelf()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, words) == ["tool_card"]
    assert list(read_of(ana)) == [title]


@ONE
@pytest.mark.parametrize("words", ["HERRAMIENTA ansiedad", "herramienta ansieda", "herramienta para la angustia"])
def test_in_spanish_the_spanish_card(talk: Talk, words: str) -> None:
    shelf()
    ana = add_member("Ana", ANA, locale="es")
    assert talk.text(ANA, words) == ["tool_card"]
    assert talk.last.body.startswith("Ansiedad: Respirar, briefly.")
    assert talk.text(ANA, "me sirvió") == ["tool_noted"]
    assert read_of(ana) == {"Respirar": True}


@ONE
def test_a_topic_that_does_not_exist_gets_the_nearest_and_a_persons_eyes(talk: Talk) -> None:
    shelf()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "TOOL divorce") == ["tool_nearest"]
    assert "TOOL and one of these words" in talk.last.body
    assert waits(ana)
    assert talk.text(ANA, "sleep") == ["tool_card"]  # right after the offer, the word alone will do


@ONE
def test_tool_alone_is_a_short_menu_and_a_word_from_it_will_do(talk: Talk) -> None:
    shelf()
    add_member("Ana", ANA)
    assert talk.text(ANA, "TOOL") == ["tool_menu"]
    assert "sleep" in talk.last.body
    assert "anger" not in talk.last.body  # its only card is past its day
    assert "SERIES" not in talk.last.body
    assert talk.text(ANA, "anxiety") == ["tool_card"]
    assert talk.text(ANA, "TOOL") == ["tool_menu"]
    assert talk.text(ANA, "no thanks") != ["tool_card"]
    with later(hours=1):
        assert talk.text(ANA, "anxiety") != ["tool_card"]  # no menu before it: a person's words


@ONE
@pytest.mark.parametrize(
    "words",
    ["my tools were stolen yesterday", "tool my dad gave me is broken", "step dad", "the tool was nice thank you all"],
)
def test_a_sentence_is_no_command(talk: Talk, words: str) -> None:
    shelf()
    ana = add_member("Ana", ANA)
    talk.text(ANA, words)
    assert read_of(ana) == {}
    assert waits(ana)


@ONE
def test_another_one_until_there_is_none_and_an_expired_card_never(talk: Talk) -> None:
    cards = shelf()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "TOOL sleep")
    assert talk.text(ANA, "TOOL NEXT") == ["tool_card"]
    assert set(read_of(ana)) == {"Awake at night", "A worry list"}
    assert talk.text(ANA, "tool next") == ["tool_menu"]
    assert talk.text(ANA, "TOOL anger") == ["tool_nearest"]
    with db.transaction() as session:
        session.execute(update(Tool).where(Tool.id == cards["Old advice"].id).values(review_by=NOON.date()))
    assert talk.text(ANA, "TOOL anger") == ["tool_card"]
    with db.transaction() as session:
        session.execute(update(Tool).where(Tool.id == cards["Old advice"].id).values(retired_at=NOON))
    assert talk.text(ANA, "TOOL anger") == ["tool_nearest"]


@ONE
def test_without_a_card_in_their_language_a_person_helps(talk: Talk) -> None:
    card("Five in, five out", "anxiety")
    ana = add_member("Ana", ANA, locale="es")
    assert talk.text(ANA, "HERRAMIENTA ansiedad") == ["tool_none"]
    assert waits(ana)


@ONE
def test_in_discreet_mode_a_card_names_no_topic(talk: Talk) -> None:
    shelf()
    add_member("Ana", ANA, discreet=True)
    talk.text(ANA, "TOOL anxiety")
    assert talk.last.body.startswith("Five in, five out, briefly.")


@ONE
def test_oops_takes_an_answer_back_and_there_is_one_answer_a_card(talk: Talk) -> None:
    shelf()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "TOOL anxiety")
    talk.text(ANA, "HELPED")
    talk.text(ANA, "not really")
    assert read_of(ana) == {"Five in, five out": False}
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert read_of(ana) == {"Five in, five out": True}
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert read_of(ana) == {"Five in, five out": None}
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(ToolRead)) == 1


@ONE
def test_helped_counts_for_what_a_campaign_brought_and_for_nothing_else(talk: Talk) -> None:
    cards = shelf()
    ana = add_member("Ana", ANA)
    add_member("Ben", BEN)
    assert talk.text(BEN, "HELPED") == ["cannot_place"]
    talk.send(CampaignKind.TOOL, "{{ tool_body }}", tool_id=cards["Say it once"].id, member_ids=(ana.id,))
    with later(days=2):
        assert talk.text(ANA, "it helped a lot") == ["tool_noted"]
    assert read_of(ana) == {"Say it once": True}
    with later(days=20):
        talk.text(ANA, "didn't help")  # too long ago to be about a card
    assert read_of(ana) == {"Say it once": True}
    assert waits(ana)


def test_the_ranking_listens_and_one_voice_does_not_turn_it_round(talk: Talk) -> None:
    cards = shelf()
    night, worry = cards["Awake at night"], cards["A worry list"]
    people = [add_member(f"M{n}", f"+1202555{n:04}") for n in range(101, 113)]
    with db.transaction() as session:
        for n, member in enumerate(people):
            tools.note(session, worry.id, member.id, n < 9)  # nine of twelve
        tools.note(session, night.id, people[0].id, True)  # one of one
    with db.reading() as session:
        standing = tools.standings(session, tools.current(session, "en"))
        assert (standing[worry.id].helped, standing[worry.id].answers) == (9, 12)
        assert standing[worry.id].score > 0.7
        assert standing[night.id].score < 0.85  # not 1.0 on one voice
        ana = add_member("Ana", ANA)
        with db.transaction() as writing:
            for member in people[1:9]:
                tools.note(writing, night.id, member.id, False)
    with db.reading() as session:
        found = tools.current(session, "en")
        best = choosing.best(session, found, ana.id, "sleep")
        assert best is not None
        assert best.id == worry.id


def test_a_series_begins_by_asking_comes_once_an_evening_and_ends_by_itself(talk: Talk) -> None:
    small_evenings(3)
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "SERIES") == ["series_offer"]
    assert "Small evenings (3 days)" in talk.last.body
    assert evening(talk, 0) == []  # nothing is pushed
    assert talk.text(ANA, "START SERIES") == ["series_started"]
    assert "today at 6:00 pm" in talk.last.body
    assert evening(talk, 0, hour=21, minute=50) == []  # not yet their hour
    first = evening(talk, 0)
    assert first == ["1 of 3. {{ tool_body }} Did it help? HELPED or NOT REALLY. STOP SERIES ends it."]
    assert evening(talk, 0, minute=2) == []  # a second look, or a second clock, changes nothing
    with at(NOON.replace(hour=23)):
        assert talk.text(ANA, "helped") == ["tool_noted"]
    assert read_of(ana) == {"Evening 1": True}
    assert evening(talk, 1)[0].startswith("2 of 3.")
    assert evening(talk, 2)[0].startswith("3 of 3, the last.")
    assert evening(talk, 3) == []
    assert reader_of(ana).ended == "done"
    with db.reading() as session:
        assert campaigns.recent(session) == []  # the list is for what coordinators send
        assert session.scalar(select(func.count()).select_from(Campaign)) == 3


def test_a_series_by_mail(talk: Talk) -> None:
    small_evenings(2)
    ana = add_member("Ana", None, MAIL)
    assert talk.mail(MAIL, "Start series, please") == ["series_started"]
    assert "Did it help? Answer this email with HELPED" in evening(talk, 0)[0]
    with at(NOON.replace(hour=23)):
        assert talk.mail(MAIL, "stop series", answers=talk.last) == ["series_ended"]
        assert "series has ended" in talk.last.body
    assert evening(talk, 1) == []
    assert of(ana).paused_until is None


@ONE
@pytest.mark.parametrize(
    "words",
    ["STOP SERIES", "please stop the series", "no more evenings", "end the series now", "stop the cards please"],
)
def test_a_series_is_ended_in_plain_words_and_nothing_else_is(talk: Talk, words: str) -> None:
    small_evenings()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "start series")
    evening(talk, 0)
    with at(NOON.replace(hour=23)):
        assert talk.text(ANA, words) == ["series_ended"]
    assert reader_of(ana).ended == "stopped"
    assert evening(talk, 1) == []
    now = of(ana)
    assert (now.state, now.paused_until) == ("active", None)
    assert talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.last.to == ANA  # the rest goes on
    with at(NOON + timedelta(days=1)):
        assert talk.text(ANA, "OOPS")[0] in ("oops_undone", "oops_nothing")


@ONE
def test_oops_after_a_card_ends_the_series_and_right_after_the_start_too(talk: Talk) -> None:
    small_evenings()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "start series")
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert reader_of(ana).ended == "stopped"
    with later(minutes=5):
        talk.text(ANA, "start series")
    for day in (0, 1):
        evening(talk, day)
    with at(NOON.replace(hour=22, minute=30) + timedelta(days=1)):
        assert talk.text(ANA, "oops") == ["oops_undone"]
        assert "the series" in talk.last.body
    assert evening(talk, 2) == []
    assert reader_of(ana).ended == "stopped"


def test_stop_ends_it_all_and_a_series_does_not_come_back_with_start(talk: Talk) -> None:
    small_evenings()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "START SERIES")
    evening(talk, 0)
    with at(NOON.replace(hour=23)):
        assert talk.text(ANA, "STOP") == ["stopped"]
    assert evening(talk, 1) == []
    assert reader_of(ana).ended == "left"
    with at(NOON + timedelta(days=2)):
        assert talk.text(ANA, "START") == ["started_again"]
    assert evening(talk, 2) == []


def test_a_flag_a_break_and_a_dead_night_put_a_card_off_and_lose_none(talk: Talk) -> None:
    maya = on_duty()
    small_evenings()
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    for phone in (ANA, BEN):
        talk.text(phone, "START SERIES")
    assert len(evening(talk, 0)) == 2
    with at(NOON + timedelta(days=1)):
        talk.text(ANA, "I want to kill myself tonight")
        assert talk.text(BEN, "PAUSE") == ["paused"]
    assert evening(talk, 1) == []
    with at(NOON + timedelta(days=2)):
        safety.acknowledge(flags()[0].id, maya.id)
        safety.clear(flags()[0].id, maya.id, "Spoke on the phone; safe with her sister.")
    assert [body[:6] for body in evening(talk, 2)] == ["2 of 3"]  # Ana goes on where she was; Ben rests
    assert evening(talk, 3, hour=23, minute=59)[0].startswith("3 of 3")
    assert evening(talk, 16, hour=4) == []  # whoever wakes the service at night sends nothing
    assert [body[:6] for body in evening(talk, 16)] == ["2 of 3"]
    assert reader_of(ben).day == 2
    assert reader_of(ana).ended == "done"


def test_a_card_that_was_never_delivered_comes_again_the_next_evening(talk: Talk) -> None:
    small_evenings()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "START SERIES")
    with at(NOON.replace(hour=22, minute=1)):
        assert series_cards.send_due() == 1  # and then everything dies before the campaign is begun
    with at(NOON.replace(hour=22, minute=1) + timedelta(hours=8)):
        campaigns.start_due()
        assert talk.deliver() == []  # too old to be sent at night
        campaigns.finish_done()
    assert evening(talk, 1)[0].startswith("1 of 3")
    assert reader_of(ana).day == 1


@ONE
def test_the_hour_is_the_members_own(talk: Talk) -> None:
    small_evenings(hour="18:00")
    late = add_member("Ana", ANA, window_from=20 * 60, window_to=22 * 60)
    early = add_member("Ben", BEN, zone="America/Los_Angeles", window_from=9 * 60, window_to=12 * 60)
    talk.text(ANA, "START SERIES")
    assert "today at 8:00 pm" in talk.last.body
    talk.text(BEN, "START SERIES")
    assert "today at 11:30 am" in talk.last.body
    assert reader_of(late).next_at == datetime(2026, 5, 6, 0, 0, tzinfo=NOON.tzinfo)
    assert reader_of(early).next_at == datetime(2026, 5, 5, 18, 30, tzinfo=NOON.tzinfo)


@ONE
def test_an_expired_card_is_passed_over_in_a_series(talk: Talk) -> None:
    small_evenings(3)
    add_member("Ana", ANA)
    talk.text(ANA, "START SERIES")
    evening(talk, 0)
    with db.transaction() as session:
        session.execute(update(Tool).where(Tool.title == "Evening 2").values(review_by=NOON.date()))
    assert evening(talk, 1)[0].startswith("3 of 3")


@ONE
def test_who_has_tools_switched_off_begins_nothing(talk: Talk) -> None:
    small_evenings()
    ana = add_member("Ana", ANA)
    with db.transaction() as session:
        member = session.get_one(Member, ana.id)
        consent.set_subscription(session, member, Topic.TOOLS, ChannelName.SMS, False, source="page", evidence="page")
    assert talk.text(ANA, "START SERIES") == ["series_off"]
    assert waits(ana)
    assert reader_of(ana) is None


@ONE
def test_two_series_are_told_apart_by_their_letters(talk: Talk) -> None:
    small_evenings()
    second = small_evenings(2)
    with db.transaction() as session:
        session.execute(
            update(ToolSeries)
            .where(ToolSeries.id == second.id)
            .values(title="Two quiet mornings", created_at=clock.now())
        )
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "start series") == ["series_offer"]
    assert "A Small evenings" in talk.last.body
    assert talk.text(ANA, "START SERIES B") == ["series_started"]
    assert "Two quiet mornings" in talk.last.body
    assert talk.text(ANA, "series") == ["series_running"]
    assert reader_of(ana).series_id == second.id


@ONE
def test_a_scheduled_card_that_expires_meanwhile_is_not_sent(talk: Talk) -> None:
    tool = card("Five in, five out", "anxiety", days=1)
    add_member("Ana", ANA)
    draft = campaigns.Draft(
        name="t", kind=CampaignKind.TOOL, channels=(SMS,), tool_id=tool.id,
        contents=(campaigns.ContentDraft(SMS, "en", "{{ tool_body }}"),),
    )  # fmt: skip
    campaign_id = campaigns.create(draft)
    campaigns.start(campaign_id, schedule=Schedule.AT, at=NOON + timedelta(days=3))
    with at(NOON + timedelta(days=3)):
        campaigns.start_due()
        assert talk.deliver() == []
        with db.reading() as session:
            found = session.get_one(Campaign, campaign_id)
            assert (found.state, "review date" in found.paused_reason) == (CampaignState.PAUSED, True)


@ONE
def test_under_a_flag_no_card_is_sent(talk: Talk) -> None:
    on_duty()
    shelf()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "I want to kill myself tonight")
    with later(hours=1):
        assert talk.text(ANA, "TOOL anxiety") == []
    assert read_of(ana) == {}
    assert waits(ana)


@ONE
def test_an_erased_member_leaves_no_answers_and_no_place_behind(talk: Talk) -> None:
    shelf()
    small_evenings()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "TOOL anxiety")
    talk.text(ANA, "START SERIES")
    leaving.erase(ana.id, "cli")
    assert (read_of(ana), reader_of(ana)) == ({}, None)
    assert evening(talk, 0) == []
