"""Sessions keep their hour through daylight saving, and a seat is never promised twice."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import gatherings
from service.actions.finding import matching
from service.actions.new_members import new_member
from service.errors import Conflict, Invalid
from service.models.gatherings import Circle, GroupSession, Invitation, Openness, Rsvp, SessionState
from service.models.members import ChannelName, Member, Topic

OCTOBER = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)


def circle(session: Session, **more: Any) -> Circle:
    values: dict[str, Any] = {
        "name": "Tuesday Evening", "slug": "tuesday", "keyword": "TUESDAY", "time_zone": "America/New_York",
        "rrule": "FREQ=WEEKLY;BYDAY=TU", "starts_time": "19:00", "minutes": 60, "created_at": OCTOBER,
    }  # fmt: skip
    made = Circle(id=db.uuid7(), **(values | more))
    session.add(made)
    session.flush()
    return made


def person(session: Session, number: int, **more: Any) -> Member:
    return new_member(
        session, first_name=f"M{number}", addresses={ChannelName.SMS: f"+1202555{number:04}"}, topics=Topic, **more
    )


@pytest.fixture
def evening(database: db.Database) -> GroupSession:
    """A session in two days with one seat."""
    with clock.frozen_at(OCTOBER), db.transaction() as session:
        starts = OCTOBER + timedelta(days=2)
        found = GroupSession(
            id=db.uuid7(), circle_id=circle(session).id, starts_at=starts, ends_at=starts + timedelta(hours=1),
            seats=1, created_at=OCTOBER,
        )  # fmt: skip
        session.add(found)
    return found


def test_seven_stays_seven_when_the_clocks_change(database: db.Database) -> None:
    with clock.frozen_at(OCTOBER), db.transaction() as session:
        tuesdays = circle(session)
        made = gatherings.plan_sessions(session, tuesdays, OCTOBER + timedelta(days=30))
        assert [s.starts_at for s in made] == [
            datetime(2026, 10, 20, 23, 0, tzinfo=UTC),
            datetime(2026, 10, 27, 23, 0, tzinfo=UTC),
            datetime(2026, 11, 4, 0, 0, tzinfo=UTC),  # a Tuesday evening still: New York has left summer time
            datetime(2026, 11, 11, 0, 0, tzinfo=UTC),
        ]
        made[1].state = SessionState.CANCELLED
        assert gatherings.plan_sessions(session, tuesdays, OCTOBER + timedelta(days=30)) == []  # nor made up for
        assert gatherings.next_session(session, tuesdays) == made[0]
        with pytest.raises(Invalid):
            gatherings.plan_sessions(session, circle(session, slug="x", keyword="X", rrule="EVERY TUESDAY"), OCTOBER)


def test_one_seat_and_a_line_in_which_nobody_overtakes(evening: GroupSession) -> None:
    minutes = count(1)
    with clock.frozen_at(OCTOBER), db.transaction() as session:
        first, second, third = (person(session, n) for n in (1, 2, 3))
        group = session.get_one(GroupSession, evening.id)

        def answer(member: Member, rsvp: Rsvp) -> bool:
            with clock.frozen_at(OCTOBER + timedelta(minutes=next(minutes))):
                return gatherings.answer_invite(session, member, group, rsvp).waitlisted

        assert not answer(third, Rsvp.MAYBE)  # a maybe takes no seat
        assert not answer(first, Rsvp.YES)
        assert not answer(first, Rsvp.YES)  # said twice, one seat
        assert answer(second, Rsvp.YES)
        assert not answer(first, Rsvp.NO)
        assert answer(third, Rsvp.YES)  # a seat is free, but the second was there before
        assert answer(third, Rsvp.YES)  # and asking again does not help
        seated = gatherings.give_seat(session, group)
        assert seated is not None
        assert seated.member_id == second.id
        assert gatherings.give_seat(session, group) is None
        assert gatherings.seats_taken(session, group) == 1


def test_answers_to_what_is_over(evening: GroupSession) -> None:
    with clock.frozen_at(OCTOBER), db.transaction() as session:
        member = person(session, 1)
    gatherings_before = gatherings.invite(evening.id, member.id)
    assert gatherings_before.rsvp is None
    with clock.frozen_at(OCTOBER + timedelta(days=3)), pytest.raises(Conflict, match="over"):
        gatherings.answer_by_link(evening.id, member.id, Rsvp.YES)
    with db.transaction() as session:
        session.get_one(GroupSession, evening.id).state = SessionState.CANCELLED
    with clock.frozen_at(OCTOBER), pytest.raises(Conflict, match="cancelled"):
        gatherings.answer_by_link(evening.id, member.id, Rsvp.YES)
    with db.reading() as session:
        assert list(session.scalars(select(Invitation.rsvp))) == []


def test_words_on_the_members_own_clock_and_nothing_named_in_discreet_mode(evening: GroupSession) -> None:
    with clock.frozen_at(OCTOBER), db.transaction() as session:
        group = session.get_one(GroupSession, evening.id)
        group.place = "Elm House"
        there = person(session, 1, time_zone="America/Chicago")
        quiet = person(session, 2, time_zone="Europe/Madrid", locale="es-ES", discreet=True)
        assert gatherings.session_words(group, there).when == "Sat 17 Oct, 7:00 am"
        assert gatherings.session_words(group, there).name == "Tuesday Evening"
        assert gatherings.session_words(group, quiet).name == "tu grupo"
        assert gatherings.session_words(group, quiet).hour == "14:00"
    assert gatherings.invite(evening.id, there.id).place == "Elm House"
    assert gatherings.invite(evening.id, quiet.id).place == ""


def test_circles_for_invited_people_only_are_not_listed(database: db.Database) -> None:
    with db.transaction() as session:
        circle(session)
        circle(session, name="Ask first", slug="ask", keyword="ASK", openness=Openness.ASK)
        circle(session, name="Private", slug="private", keyword="PRIVATE", openness=Openness.INVITE)
        circle(session, name="Closed", slug="closed", keyword="CLOSED", closed_at=OCTOBER)
        assert [s.circle.name for s in matching.open_circles(session)] == ["Ask first", "Tuesday Evening"]
