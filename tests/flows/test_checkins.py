"""Check-ins as the pulse, told as stories: a rhythm that the clock keeps, answers with a word, hard days, own lines."""

import threading
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service import clock, db
from service.actions import campaigns, leaving
from service.actions.checkins import beginning, days, lines, making, rhythms
from service.actions.checkins.beginning import Beginning
from service.actions.checkins.rhythms import RhythmDetails
from service.errors import Forbidden, Invalid, NotFound
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery
from service.models.checkins import Every, OwnLine, Rhythm
from service.models.content import Tool
from service.models.conversations import CheckIn
from service.models.gatherings import Circle, CircleStaff
from service.models.members import Member
from service.models.staff import Coordinator, Role
from tests.flows.replies import ANA, BEN, MAIL, later, on_duty
from tests.flows.talk import EMAIL, NOON, SMS, Talk, messages, waits
from tests.flows.world import add_circle, add_member

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
CAROL = "+12025550187"
WORDS = (
    {"channel": "sms", "language": "en", "subject": "", "body": "Hello {{ first_name }}. How are you today?"},
    {"channel": "email", "language": "en", "subject": "How are you?", "body": "How are you today?"},
)


def person(role: Role = Role.COORDINATOR, name: str = "Wren") -> Coordinator:
    with db.transaction() as session:
        made = Coordinator(
            id=db.uuid7(), email=f"{name.lower()}@example.org", name=name, role=role, created_at=clock.now()
        )
        session.add(made)
    return made


def details(**more: Any) -> RhythmDetails:
    values: dict[str, Any] = {
        "name": "How are you?", "every": Every.WEEK, "days": (2, 4), "local_time": "14:00", "channels": (SMS, EMAIL),
        "contents": WORDS,
    }  # fmt: skip
    return RhythmDetails(**values | more)


def of(rhythm_id: Any) -> Rhythm:
    with db.reading() as session:
        return session.get_one(Rhythm, rhythm_id)


def said(rhythm_id: Any) -> Beginning:
    with db.reading() as session:
        found = beginning.told(session, rhythm_id)
    assert found is not None
    return found


def made() -> list[Campaign]:
    with db.reading() as session:
        return list(session.scalars(select(Campaign).order_by(Campaign.occurs_on)))


def check_ins(member: Member) -> list[tuple[int, str | None]]:
    with db.reading() as session:
        found = select(CheckIn).where(CheckIn.member_id == member.id).order_by(CheckIn.at)
        return [(row.score, row.words) for row in session.scalars(found)]


def line_of(member: Member) -> str | None:
    with db.reading() as session:
        row = lines.current(session, member.id)
        return row.words if row else None


def tick(talk: Talk, moment: datetime) -> list[str]:
    """Everything that the clock does at a moment; to whom something left."""
    with clock.frozen_at(moment):
        making.make_due()
        campaigns.start_due()
        gone = [out.to for out in talk.deliver()]
        campaigns.finish_done()
    return gone


def ask(talk: Talk, day: int = 0) -> None:
    with clock.frozen_at(NOON + timedelta(days=day)):
        talk.send(CampaignKind.CHECKIN, "How are you?", "How are you?")


def add_tool(language: str = "en") -> None:
    with db.transaction() as session:
        session.add(
            Tool(
                title="Breath", topics="anxiety", language=language, body_sms="In, out.", body_email="In, out.",
                review_by=NOON.date() + timedelta(days=900), created_at=NOON,
            )
        )  # fmt: skip


# Tuesday 5 May 2026 is NOON; the rhythm is Wednesday and Friday at 14:00 on each member's own clock.


def test_a_rhythm_asks_each_at_their_own_hour_and_once_a_day(talk: Talk) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN, zone="America/Los_Angeles")
    add_member("Cleo", None, MAIL, zone="Europe/London")
    wren = person()
    rhythm = rhythms.save(None, wren, details())
    assert of(rhythm).next_on == date(2026, 5, 6)
    with db.reading() as session:
        assert rhythms.listed(session, wren)[0].days == [date(2026, 5, d) for d in (6, 8, 13, 15)]
    assert tick(talk, NOON) == []
    assert made() == []
    wednesday = datetime(2026, 5, 6, tzinfo=NOON.tzinfo)
    assert tick(talk, wednesday.replace(hour=10)) == []  # made, and can be looked at
    assert [(c.state, c.occurs_on) for c in made()] == [(CampaignState.SCHEDULED, date(2026, 5, 6))]
    assert tick(talk, wednesday.replace(hour=13, minute=1)) == [MAIL]  # 14:01 in London
    assert tick(talk, wednesday.replace(hour=18, minute=1)) == [ANA]
    assert tick(talk, wednesday.replace(hour=21, minute=1)) == [BEN]
    assert tick(talk, wednesday.replace(hour=22)) == []
    assert of(rhythm).next_on == date(2026, 5, 8)
    assert tick(talk, wednesday.replace(day=8, hour=21, minute=5)) != []
    assert [c.occurs_on for c in made()] == [date(2026, 5, 6), date(2026, 5, 8)]
    with clock.frozen_at(wednesday.replace(day=8, hour=22)):
        assert talk.text(ANA, "4 tired but ok") == ["checkin_4"]
        ana = messages()[-1].member_id
    with db.reading() as session:
        row = session.scalars(select(CheckIn).where(CheckIn.member_id == ana)).one()
        assert (row.score, row.words) == (4, "4 tired but ok")
        assert row.campaign_id == made()[-1].id


def test_two_clocks_and_one_that_died_make_one_campaign(talk: Talk) -> None:
    add_member("Ana", ANA)
    rhythm = rhythms.save(None, person(), details())
    with clock.frozen_at(datetime(2026, 5, 6, 13, tzinfo=NOON.tzinfo)):
        together = [threading.Thread(target=making.make_due) for _ in range(4)]
        for each in together:
            each.start()
        for each in together:
            each.join()
        assert len(made()) == 1
        with db.transaction() as session:  # as a clock that died before it moved the day on would have left it
            session.execute(update(Rhythm).where(Rhythm.id == rhythm).values(next_on=date(2026, 5, 6)))
        making.make_due()
    assert len(made()) == 1
    assert of(rhythm).next_on == date(2026, 5, 8)


def test_days_that_nobody_saw_to_are_let_go(talk: Talk) -> None:
    add_member("Ana", ANA)
    rhythm = rhythms.save(None, person(), details())
    assert tick(talk, datetime(2026, 5, 14, 12, tzinfo=NOON.tzinfo)) == []  # nine days later
    assert made() == []
    assert of(rhythm).next_on == date(2026, 5, 15)


def test_a_rhythm_is_paused_taken_up_again_and_ended(talk: Talk) -> None:
    add_member("Ana", ANA)
    wren = person()
    rhythm = rhythms.save(None, wren, details())
    rhythms.pause(rhythm, wren)
    assert tick(talk, datetime(2026, 5, 6, 18, 1, tzinfo=NOON.tzinfo)) == []
    with clock.frozen_at(NOON + timedelta(days=2)):
        rhythms.resume(rhythm, wren)
    assert of(rhythm).next_on == date(2026, 5, 8)
    assert tick(talk, datetime(2026, 5, 8, 18, 1, tzinfo=NOON.tzinfo)) == [ANA]
    rhythms.end(rhythm, wren)
    assert tick(talk, datetime(2026, 5, 13, 18, 1, tzinfo=NOON.tzinfo)) == []
    assert len(made()) == 1


def test_a_rhythm_begins_today_while_its_hour_is_ahead_for_most(talk: Talk) -> None:
    add_member("Ana", ANA)
    wren = person()
    today = rhythms.save(None, wren, details(days=(1,)))
    assert said(today) == Beginning(date(2026, 5, 5), today=True, let_go=False, over_somewhere=False)
    near = rhythms.save(None, wren, details(days=(1,), local_time="12:29"))
    assert said(near) == Beginning(date(2026, 5, 12), today=False, let_go=True, over_somewhere=False)
    other = rhythms.save(None, wren, details(days=(3,), local_time="9:30"))
    assert said(other) == Beginning(date(2026, 5, 7), today=False, let_go=False, over_somewhere=False)
    assert of(other).local_time == "09:30"
    assert tick(talk, NOON) == []
    assert [campaign.occurs_on for campaign in made()] == [date(2026, 5, 5)]  # there at once, to look at
    assert tick(talk, NOON.replace(hour=18, minute=1)) == [ANA]
    assert rhythms.save(today, wren, details(days=(1,), local_time="15:00")) == today
    assert of(today).next_on == date(2026, 5, 12)  # it has been asked today


@ONE
def test_an_hour_that_is_over_for_some_and_ahead_for_most(talk: Talk) -> None:
    add_member("Ana", ANA)
    add_member("Cleo", None, MAIL, zone="Europe/London")
    for name, phone in (("Ben", BEN), ("Luz", "+12025550191"), ("Eva", "+12025550187")):
        add_member(name, phone, zone="America/Los_Angeles")
    wren = person()
    rhythm = rhythms.save(None, wren, details(days=(1,), local_time="11:00"))
    assert said(rhythm) == Beginning(date(2026, 5, 5), today=True, let_go=False, over_somewhere=True)
    assert sorted(tick(talk, NOON)) == [ANA, MAIL]  # noon in New York, 17:00 in London
    assert len(tick(talk, NOON.replace(hour=18, minute=1))) == 3
    circle = add_circle()
    add_member("Mel", "+12025550188", circle=circle)
    own = rhythms.save(None, wren, details(days=(1,), local_time="11:00", circle_id=circle.id))
    assert of(own).next_on == date(2026, 5, 12)  # only those of the circle count


@ONE
def test_today_is_the_day_of_those_who_are_asked(talk: Talk) -> None:
    """On a Tuesday at 21:00 in New York it is Wednesday by UTC."""
    add_member("Ana", ANA)
    wren = person()
    with db.transaction() as session:
        session.execute(update(Coordinator).values(time_zone="America/New_York"))
    wren.time_zone = "America/New_York"
    evening = datetime(2026, 5, 6, 1, tzinfo=NOON.tzinfo)
    with clock.frozen_at(evening):
        rhythm = rhythms.save(None, wren, details(days=(1,), local_time="22:00"))
        assert of(rhythm).next_on == date(2026, 5, 5)
        assert said(rhythm).today
        rhythms.pause(rhythm, wren)
    with clock.frozen_at(evening + timedelta(minutes=45)):
        rhythms.resume(rhythm, wren)
        assert of(rhythm).next_on == date(2026, 5, 12)


@ONE
@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"days": (0,)}, ["2026-05-11", "2026-05-18", "2026-05-25"]),
        ({"every": Every.TWO_WEEKS, "days": (1, 3)}, ["2026-05-05", "2026-05-07", "2026-05-19"]),
        ({"every": Every.MONTH, "days": (), "month_day": 28}, ["2026-05-28", "2026-06-28", "2026-07-28"]),
        ({"days": (5,), "starts_on": date(2026, 6, 1)}, ["2026-06-06", "2026-06-13", "2026-06-20"]),
    ],
)
def test_the_days_of_a_rhythm(talk: Talk, more: dict[str, Any], found: list[str]) -> None:
    rhythm = of(rhythms.save(None, person(), details(**more)))
    assert [day.isoformat() for day in days.next_days(rhythm, NOON.date(), 3)] == found


@ONE
@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"days": ()}, "days"),
        ({"name": " "}, "name"),
        ({"every": Every.MONTH, "days": (), "month_day": 31}, "month_day"),
        ({"local_time": "25:00"}, "local_time"),
        ({"channels": ()}, "channels"),
        ({"contents": WORDS[:1]}, "email_en_body"),
        ({"contents": ({**WORDS[0], "body": "Hello {{ frist_name }}"}, WORDS[1])}, "sms_en_body"),
    ],
)
def test_what_could_not_be_sent_is_said_beside_its_field(talk: Talk, more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error:
        rhythms.save(None, person(), details(**more))
    assert error.value.field == field
    assert made() == []


@ONE
def test_a_circles_rhythm_reaches_the_circle_and_is_its_coordinators(talk: Talk) -> None:
    circle = add_circle()
    add_member("Ana", ANA, circle=circle)
    add_member("Ben", BEN)
    own, other = person(Role.CIRCLE_COORDINATOR, "Olu"), person(Role.CIRCLE_COORDINATOR, "Pia")
    with db.transaction() as session:
        session.add(CircleStaff(circle_id=circle.id, coordinator_id=own.id))
    with pytest.raises(Forbidden):
        rhythms.save(None, own, details())
    with pytest.raises(Forbidden):
        rhythms.save(None, other, details(circle_id=circle.id))
    rhythm = rhythms.save(None, own, details(circle_id=circle.id))
    with pytest.raises(NotFound):
        rhythms.pause(rhythm, other)
    assert tick(talk, datetime(2026, 5, 6, 18, 1, tzinfo=NOON.tzinfo)) == [ANA]
    with db.transaction() as session:
        session.execute(update(Circle).values(closed_at=NOON))
    assert tick(talk, datetime(2026, 5, 8, 18, 1, tzinfo=NOON.tzinfo)) == []
    assert of(rhythm).ended_at is not None


@ONE
@pytest.mark.parametrize(
    ("words", "score", "kept"),
    [
        ("4", 4, None),
        ("4!", 4, None),
        ("four thanks", 4, None),
        ("4 tired", 4, "4 tired"),
        ("4 tired but ok", 4, "4 tired but ok"),
        ("3, long day", 3, "3, long day"),
    ],
)
def test_a_score_with_or_without_a_word(talk: Talk, words: str, score: int, kept: str | None) -> None:
    ana = add_member("Ana", ANA)
    ask(talk)
    assert talk.text(ANA, words) == [f"checkin_{score}"]
    assert check_ins(ana) == [(score, kept)]


def test_a_hard_day_is_put_before_a_person_and_a_one_gets_no_tool(talk: Talk) -> None:
    on_duty()
    add_tool()
    ana, ben, carol = add_member("Ana", ANA), add_member("Ben", BEN), add_member("Carol", None, MAIL)
    ask(talk)
    asked = talk.last
    assert talk.text(ANA, "1") == ["checkin_1"]
    assert "TOOL" not in talk.last.body
    assert "988" in talk.last.body
    assert "today" in talk.last.body  # who reads and when
    assert talk.text(BEN, "2") == ["checkin_2"]
    assert "TOOL" in talk.last.body
    assert talk.mail(MAIL, "3", answers=asked) == ["checkin_3"]
    assert "TOOL" in talk.last.body
    assert (waits(ana), waits(ben), waits(carol)) == (True, True, False)
    assert talk.text(BEN, "TOOL") == ["tool_menu"]  # offered, and only then sent


@ONE
def test_without_a_tool_in_their_language_none_is_offered(talk: Talk) -> None:
    add_tool("en")
    add_member("Ana", ANA, locale="es")
    ask(talk)
    assert talk.text(ANA, "2") == ["checkin_2"]
    assert "HERRAMIENTA" not in talk.last.body


@ONE
def test_the_third_hard_day_in_a_row_is_said_gently(talk: Talk) -> None:
    on_duty()
    add_member("Ana", ANA)
    for day in range(3):
        ask(talk, 3 * day)
        with later(days=3 * day):
            assert talk.text(ANA, "2") == ["checkin_2"]
    assert "hard for a while" in talk.last.body
    assert "today" in talk.last.body


def test_a_line_for_a_harder_day_is_left_and_given_back(talk: Talk) -> None:
    ana, carol = add_member("Ana", ANA), add_member("Carol", None, MAIL)
    ask(talk)
    asked = talk.last
    assert talk.text(ANA, "5") == ["checkin_5"]
    assert "LINE" in talk.last.body
    assert talk.text(ANA, "line") == ["line_write"]
    assert talk.text(ANA, "Remember the lake, and that you called Ruth") == ["line_kept"]
    assert line_of(ana) == "Remember the lake, and that you called Ruth"
    assert talk.mail(MAIL, "4", answers=asked) == ["checkin_4"]
    assert talk.mail(MAIL, "LINE", answers=talk.last) == ["line_write"]
    assert talk.mail(MAIL, "It was like this before, and it passed.", answers=talk.last) == ["line_kept"]
    ask(talk, 4)
    with later(days=4):
        again = next(out for out in reversed(talk.left) if out.to == MAIL)
        assert talk.text(ANA, "2") == ["checkin_2", "line_back"]
        assert "the lake" in talk.last.body
        assert talk.mail(MAIL, "2", answers=again) == ["checkin_2", "line_back"]
    ask(talk, 7)
    with later(days=7):
        assert talk.text(ANA, "2") == ["checkin_2"]  # not every time
    ask(talk, 12)
    with later(days=12):
        assert talk.text(ANA, "1") == ["checkin_1"]  # a 1 gets a person
    with db.reading() as session:
        raw = session.connection().exec_driver_sql("SELECT words FROM own_lines WHERE words IS NOT NULL").scalar()
    assert "lake" not in str(raw)  # encrypted at rest
    leaving.erase(carol.id, "cli")
    assert line_of(carol) is None


@ONE
def test_it_is_offered_twice_a_year_at_most_and_not_to_whom_has_one(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    offered = []
    for day in (0, 5, 10, 15):
        ask(talk, day)
        with later(days=day):
            talk.text(ANA, "4")
            offered.append("LINE" in talk.last.body)
    assert offered == [True, True, False, False]
    with db.transaction() as session:
        session.execute(update(OwnLine).values(asked_at=NOON - timedelta(days=400)))
        lines.keep(session, session.get_one(Member, ana.id), "Breathe, then tea.")
    ask(talk, 20)
    with later(days=20):
        talk.text(ANA, "5")
        assert "LINE" not in talk.last.body


@ONE
@pytest.mark.parametrize("words", ["4", "TOOL", "ok thanks", "yes", "HELP"])
def test_what_is_no_line_is_not_kept_as_one(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "LINE")
    talk.text(ANA, words)
    assert line_of(ana) is None


@ONE
def test_a_line_with_risk_in_it_is_a_flag_and_no_line(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "LINE")
    assert talk.text(ANA, "By then I will have killed myself anyway") == ["risk_answer"]
    assert line_of(ana) is None


@ONE
def test_never_under_a_flag(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    with db.transaction() as session:
        lines.keep(session, session.get_one(Member, ana.id), "Breathe, then tea.")
    ask(talk, 2)
    with later(days=2):
        talk.text(ANA, "I want to kill myself tonight")
        assert "line_back" not in talk.text(ANA, "2")
        assert check_ins(ana) == []


@ONE
def test_oops_forgets_a_line_and_removing_it_leaves_nothing(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "LINE")
    talk.text(ANA, "Remember the lake, it passed")
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert "your line" in talk.last.body
    assert line_of(ana) is None
    talk.text(ANA, "LINE")
    talk.text(ANA, "Remember the lake, it passed")
    assert talk.text(ANA, "no line") == ["line_gone"]
    assert line_of(ana) is None
    with db.transaction() as session:
        lines.keep(session, session.get_one(Member, ana.id), "Breathe, then tea.")
        assert lines.remove(session, ana.id)
        assert not lines.remove(session, ana.id)
    assert line_of(ana) is None


@ONE
def test_silence_is_a_state_and_no_error(talk: Talk) -> None:
    add_member("Ana", ANA)
    rhythms.save(None, person(), details(days=(0, 1, 2, 3, 4, 5, 6)))
    reached = [len(tick(talk, NOON.replace(hour=18, minute=1) + timedelta(days=day))) for day in range(1, 22)]
    assert sum(reached[:7]) >= 3
    assert 0 < sum(reached[-10:]) <= 3  # fewer by themselves, and nobody is told off
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == len(made())
    assert all(out.template is None for out in talk.left)
