"""Finding a circle with nothing but a phone, or by mail: two gentle questions, three messages, and a way in."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from service import clock, db
from service.actions.belonging import life
from service.channels.segments import measure
from service.models.conversations import Finding
from service.models.members import Member
from tests.flows.circles import circle, place, three_circles
from tests.flows.talk import NOON, Talk, flags, waits
from tests.flows.world import add_member

STRANGER = "+12025550123"
ANA = "+12025550144"


def bodies(talk: Talk, phone: str) -> list[str]:
    return [out.body for out in talk.left if out.to == phone]


def under_way() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Finding)) or 0


def test_three_messages_lead_a_stranger_to_a_seat(talk: Talk) -> None:
    kitchen, *_ = three_circles()
    assert talk.text(STRANGER, "Find") == ["find_theme"]
    assert "A Grief, B New parents, C Anxiety and panic, or Z for any" in bodies(talk, STRANGER)[-1]
    assert talk.text(STRANGER, "I lost my mum") == ["find_when"]
    assert talk.text(STRANGER, "c") == ["find_found"]
    last = bodies(talk, STRANGER)[-1]
    assert "KITCHEN: Kitchen Table, Tue 12 May, 7:00 pm" in last
    assert "These could suit you" in last
    assert "STEADY" not in last
    assert all(measure(body).segments <= 2 for body in bodies(talk, STRANGER))
    assert under_way() == 0

    # The word that it gave works at once: 18 or over, yes, and the circle with its next meeting.
    assert talk.text(STRANGER, "JOIN KITCHEN") == ["ask_adult"]
    assert talk.text(STRANGER, "ADULT") == ["confirm"]
    assert talk.text(STRANGER, "YES") == ["welcome", "circle_welcome"]
    assert "You're in Kitchen Table. Next: Tue 12 May, 7:00 pm." in bodies(talk, STRANGER)[-1]
    with db.reading() as session:
        member = session.scalars(select(Member)).one()
    assert place(member, kitchen)


def test_letters_stand_for_what_was_listed_and_z_for_any(talk: Talk) -> None:
    three_circles()
    talk.text(STRANGER, "find")
    listed = bodies(talk, STRANGER)[-1]
    letter = next(part for part in listed.split(": ", 2)[2].split(", ") if part.endswith("New parents"))[0]
    talk.text(STRANGER, f"{letter}.")
    assert talk.text(STRANGER, "Z") == ["find_found"]
    assert "HOURS: Small Hours" in bodies(talk, STRANGER)[-1]
    assert "KITCHEN" not in bodies(talk, STRANGER)[-1]
    talk.text(STRANGER, "find")
    talk.text(STRANGER, "z")
    talk.text(STRANGER, "mornings")
    assert "HOURS" in bodies(talk, STRANGER)[-1]
    assert "STEADY" in bodies(talk, STRANGER)[-1]
    assert "KITCHEN" not in bodies(talk, STRANGER)[-1]


def test_what_nobody_understands_is_any_and_nothing_is_asked_twice(talk: Talk) -> None:
    three_circles()
    talk.text(STRANGER, "FIND")
    assert talk.text(STRANGER, "blorp") == ["find_when"]
    assert talk.text(STRANGER, "fnord zing") == ["find_found"]
    assert under_way() == 0
    assert talk.text(STRANGER, "c") == []  # an old question is not answered late


def test_near_is_said_to_be_near(talk: Talk) -> None:
    three_circles()
    talk.text(STRANGER, "find")
    talk.text(STRANGER, "grief")
    assert talk.text(STRANGER, "saturday mornings") == ["find_found"]
    last = bodies(talk, STRANGER)[-1]
    assert "Nothing is just that yet; these come near" in last
    assert "KITCHEN" in last  # the theme
    assert "HOURS" in last  # the time


def test_one_message_may_say_it_all(talk: Talk) -> None:
    three_circles()
    assert talk.text(STRANGER, "FIND anxiety") == ["find_when"]
    assert talk.text(STRANGER, "thursday morning") == ["find_found"]
    assert "STEADY" in bodies(talk, STRANGER)[-1]
    assert talk.text(STRANGER, "find grief evenings") == ["find_found"]


def test_in_spanish_to_the_end(talk: Talk) -> None:
    circle("La Sobremesa", "SOBREMESA", "Acompañarse en español", "2026-05-09T11:00", language="es")
    circle("Kitchen Table", "KITCHEN", "Grief")
    assert talk.text(STRANGER, "BUSCAR") == ["find_theme"]
    assert "Responde con una letra: A Acompañarse en español" in bodies(talk, STRANGER)[-1]
    talk.text(STRANGER, "a")
    assert "por la mañana" in bodies(talk, STRANGER)[-1]
    talk.text(STRANGER, "fin de semana")
    last = bodies(talk, STRANGER)[-1]
    assert "SOBREMESA: La Sobremesa" in last
    assert "responde UNIRME y la palabra" in last
    assert all(measure(body).segments <= 2 for body in bodies(talk, STRANGER))


def test_it_ends_kindly_and_gives_way_to_everything_else(talk: Talk) -> None:
    three_circles()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "find")
    assert talk.text(ANA, "never mind") == ["find_end"]
    talk.text(ANA, "find")
    assert talk.text(ANA, "HELP") == ["help"]
    talk.text(ANA, "find")
    long = "Actually could one of you call me about the lift in the library on Tuesday, it was broken last time"
    assert "find_when" not in talk.text(ANA, long)
    assert waits(ana)
    assert under_way() == 0


def test_none_of_these_is_no_stop(talk: Talk) -> None:
    three_circles()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "find")
    assert talk.text(ANA, "none of these") == ["find_end"]
    with db.reading() as session:
        assert session.get_one(Member, ana.id).paused_until is None


def test_danger_comes_first_whatever_was_asked(talk: Talk) -> None:
    three_circles()
    add_member("Ana", ANA)
    talk.text(ANA, "find")
    assert talk.text(ANA, "I want to kill myself")[0].startswith("risk_answer")
    assert len(flags()) == 1
    assert talk.text(ANA, "a") == []  # from now on a person answers


def test_no_circle_open(talk: Talk) -> None:
    circle("By Invitation", "INVITED", "Grief", openness="invite")
    circle("Resting", "RESTING", "Grief", on_hold=True)
    assert talk.text(STRANGER, "find") == ["find_none"]
    assert under_way() == 0


def test_discreet_members_get_a_page_and_no_names(talk: Talk) -> None:
    three_circles()
    add_member("Ana", ANA, discreet=True)
    assert talk.text(ANA, "find") == ["find_page"]
    assert "Kitchen" not in talk.last.body
    assert "/my/" in talk.last.body


def test_a_full_circle_says_so(talk: Talk) -> None:
    circle("Kitchen Table", "KITCHEN", "Grief", most_members=0)
    talk.text(STRANGER, "find grief evenings")
    assert "KITCHEN: Kitchen Table, Tue 12 May, 7:00 pm (full, with a list)" in talk.last.body


def test_a_stop_that_names_a_time_is_no_answer_to_when(talk: Talk) -> None:
    three_circles()
    add_member("Ana", ANA)
    assert talk.text(ANA, "FIND grief") == ["find_when"]
    assert talk.text(ANA, "leave my evenings alone please") == ["stopped"]


@pytest.mark.parametrize("known", [True, False])
def test_the_same_by_mail(talk: Talk, known: bool) -> None:
    kitchen, *_ = three_circles()
    bea = add_member("Bea", email="bea@example.org") if known else None
    assert talk.mail("bea@example.org", "FIND") == ["find_theme"]
    assert talk.mail("bea@example.org", "something about grief", answers=talk.last) == ["find_when"]
    assert talk.mail("bea@example.org", "evenings please", answers=talk.last) == ["find_found"]
    assert "[Kitchen Table](http://localhost:8000/circles/kitchen-table): Grief, Tue 12 May, 7:00 pm" in talk.last.body
    if bea is not None:
        assert talk.mail("bea@example.org", "JOIN KITCHEN", answers=talk.last) == ["circle_welcome"]
        assert place(bea, kitchen)
        assert "/my/" in talk.last.body


def test_what_strangers_said_is_kept_only_in_their_conversation(talk: Talk) -> None:
    three_circles()
    talk.text(STRANGER, "find")
    talk.text(STRANGER, "my mum and I miss her")
    with db.reading() as session:
        finding = session.scalars(select(Finding)).one()
        assert finding.theme == "Grief"
        assert finding.choices
    with clock.frozen_at(NOON + timedelta(days=3)):
        assert life.run() == {"forgotten": 1}
    assert under_way() == 0
