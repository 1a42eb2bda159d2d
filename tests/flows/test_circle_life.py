"""The life of a circle as its members meet it: coming in, standing in line, a year, an absence, its week, leaving."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from service import clock, db
from service.actions import campaigns, staff
from service.actions.belonging import life, line, places
from service.errors import Conflict
from service.models.conversations import Conversation, Flag, RiskTier
from service.models.gatherings import (
    AskState,
    Circle,
    CircleMembership,
    GroupSession,
    Invitation,
    Openness,
    Rsvp,
    SessionState,
)
from service.models.members import Member
from service.models.staff import Coordinator, Role
from tests.flows.circles import circle, place, put_in, wish
from tests.flows.talk import NOON, Talk
from tests.flows.world import World, add_member

ANA, BEN, CAL, DEE = "+12025550101", "+12025550102", "+12025550103", "+12025550104"
DAY = timedelta(days=1)


def someone() -> Coordinator:
    """A coordinator of the whole community."""
    staff.add_coordinator("maya@example.org", Role.COORDINATOR, "Maya")
    with db.reading() as session:
        return session.scalars(select(Coordinator)).one()


def rounds(talk: Talk) -> list[tuple[str, str]]:
    """What the clock brings about: (to, words) of everything that leaves because of it."""
    life.run()
    campaigns.start_due()
    return [(out.to, out.body) for out in talk.deliver()]


def later(**span: float) -> clock.frozen_at:  # type: ignore[valid-type]
    return clock.frozen_at(clock.now() + timedelta(**span))


def changed(member: Member, **values: object) -> None:
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == member.id).values(**values))


def met(found: Circle, days_ago: int, *came: Member, **said: Rsvp) -> None:
    """A meeting some days ago, ticked: who came, and what others had answered (`cal=Rsvp.NO`)."""
    starts = clock.now() - timedelta(days=days_ago)
    with db.transaction() as session:
        meeting = GroupSession(
            id=db.uuid7(), circle_id=found.id, starts_at=starts, ends_at=starts + timedelta(hours=1), created_at=starts
        )
        session.add(meeting)
        session.flush()
        for member in came:
            session.add(Invitation(session_id=meeting.id, member_id=member.id, attended=True, created_at=starts))
        for name, rsvp in said.items():
            who = session.scalars(select(Member).where(Member.first_name == name.title())).one()
            session.add(Invitation(session_id=meeting.id, member_id=who.id, rsvp=rsvp, created_at=starts))


# Coming in


def test_a_full_circle_offers_its_free_place_in_turn_once_and_without_hurry(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN", "Grief", most_members=1)
    dee = add_member("Dee", DEE)
    put_in(kitchen, dee)
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    assert talk.text(ANA, "JOIN KITCHEN") == ["circle_waiting"]
    assert talk.text(BEN, "kitchen") == ["circle_waiting"]
    assert talk.text(ANA, "JOIN KITCHEN") == ["circle_waiting"]  # asking again keeps their turn
    assert rounds(talk) == []

    assert talk.text(DEE, "LEAVE KITCHEN") == ["circle_left"]
    [(to, words)] = rounds(talk)
    assert to == ANA
    assert "A place in Kitchen Table is free, and kept for you until Friday 8 May. Reply JOIN to take it." in words
    assert rounds(talk) == []  # exactly once

    cal = add_member("Cal", CAL)
    assert talk.text(CAL, "JOIN KITCHEN") == ["circle_waiting"]  # the place is Ana's to take
    with later(days=3, hours=1):
        assert [to for to, _ in rounds(talk)] == [BEN]  # no answer is fine: it goes on
        asked = wish(ana, kitchen)
        assert asked is not None
        assert asked.state == AskState.LAPSED
        assert talk.text(BEN, "Join") == ["circle_welcome"]
        assert place(ben, kitchen)
        assert rounds(talk) == []
        assert place(cal, kitchen) is None
        assert talk.text(ANA, "JOIN") == ["already_joined_neutral"]


def test_two_at_once_for_one_last_place(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN", most_members=1)
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    with db.transaction() as session:
        first = places.enter(session, session.get_one(Member, ana.id), session.get_one(Circle, kitchen.id))
    with db.transaction() as session:
        second = places.enter(session, session.get_one(Member, ben.id), session.get_one(Circle, kitchen.id))
    assert (first, second) == (places.Came.IN, places.Came.WAITS)


def test_an_offer_passes_over_whoever_cannot_be_told_and_they_keep_their_turn(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN", most_members=0)
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    talk.text(ANA, "JOIN KITCHEN")
    talk.text(BEN, "JOIN KITCHEN")
    changed(ana, held_at=NOON)
    with db.transaction() as session:
        session.get_one(Circle, kitchen.id).most_members = 1
    assert [to for to, _ in rounds(talk)] == [BEN]
    asked = wish(ana, kitchen)
    assert asked is not None
    assert asked.state == AskState.WAITING
    assert wish(ben, kitchen).state == AskState.OFFERED  # type: ignore[union-attr]


def test_a_stranger_who_never_confirms_keeps_no_place(talk: Talk) -> None:
    circle("Kitchen Table", "KITCHEN", most_members=1)
    assert talk.text(ANA, "JOIN KITCHEN") == ["ask_adult"]
    assert talk.text(ANA, "ADULT") == ["confirm"]
    add_member("Ben", BEN)
    assert talk.text(BEN, "JOIN KITCHEN") == ["circle_waiting"]
    with later(days=4):
        assert [to for to, _ in rounds(talk)] == [BEN]


def test_a_circle_that_asks_first(talk: Talk) -> None:
    steady = circle("Steady Ground", "STEADY", openness=Openness.ASK)
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "JOIN STEADY") == ["circle_asked"]
    assert "LEAVE STEADY takes your wish back" in talk.last.body
    assert place(ana, steady) is None
    maya = someone()
    with db.reading() as session:
        [waiting] = line.of_circle(session, steady.id)
    assert line.let_in(waiting.ask.id, maya) == "Ana"
    [(to, words)] = rounds(talk)
    assert (to, "You're in Steady Ground. Next: Tue 12 May, 7:00 pm." in words) == (ANA, True)
    assert place(ana, steady)
    with pytest.raises(Conflict):
        line.let_in(waiting.ask.id, maya)

    assert talk.text(CAL, "JOIN STEADY") == ["ask_adult"]
    assert talk.text(CAL, "ADULT") == ["confirm"]
    with db.reading() as session:
        assert line.of_circle(session, steady.id) == []  # not before they have confirmed
    assert talk.text(CAL, "YES") == ["welcome", "circle_asked"]
    with db.reading() as session:
        assert [place(waiting.member, steady) for waiting in line.of_circle(session, steady.id)] == [None]

    ben = add_member("Ben", BEN)
    talk.text(BEN, "JOIN STEADY")
    line.decline(wish(ben, steady).id, maya)  # type: ignore[union-attr]
    assert rounds(talk) == []  # no machine says no to anybody


def test_an_invitation_opens_by_its_code_and_by_nothing_else(talk: Talk) -> None:
    hidden = circle("Tuesday Few", "FEW", openness=Openness.INVITE)
    code = line.new_code(hidden.id, someone())
    add_member("Ana", ANA)
    assert talk.text(ANA, "JOIN FEW") == ["circle_by_invitation"]
    assert talk.text(ANA, f"JOIN {code.lower()}") == ["circle_welcome"]
    assert talk.text(BEN, "JOIN FEW") == ["circle_by_invitation"]
    assert talk.text(BEN, f"Join {code}") == ["ask_adult"]
    assert talk.text(BEN, "ADULT") == ["confirm"]
    assert talk.text(BEN, "YES") == ["welcome", "circle_welcome"]


def test_a_closed_circle_is_told_kindly(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN", most_members=0)
    ana = add_member("Ana", ANA)
    put_in(kitchen, add_member("Cal", CAL), add_member("Dee", DEE, discreet=True))
    talk.text(ANA, "JOIN KITCHEN")
    maya = someone()
    assert line.close(kitchen.id, maya) == (4, 1, True)
    told = dict(rounds(talk))
    assert set(told) == {ANA, CAL, DEE}
    assert told[ANA].startswith("Kitchen Table has come to its end. Thank you for wanting to come.")
    assert told[CAL].startswith("{{ circle_name }} has come to its end; no more meetings are planned.")
    assert "Kitchen" not in told[DEE]  # … which is "the group" in the texts of whoever wants no name in them
    assert talk.text(ANA, "JOIN KITCHEN") == ["circle_closed"]
    assert talk.text(BEN, "JOIN KITCHEN") == ["circle_closed"]
    assert place(ana, kitchen) is None
    with db.reading() as session:
        assert {s.state for s in session.scalars(select(GroupSession))} == {SessionState.CANCELLED}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_of_a_circle_that_rests_a_person_tells_its_members(talk: Talk) -> None:
    """It rests since somebody died: the last word about it is not a machine's."""
    kitchen = circle("Kitchen Table", "KITCHEN", on_hold=True)
    put_in(kitchen, add_member("Cal", CAL))
    assert line.close(kitchen.id, someone()) == (4, 0, False)
    assert rounds(talk) == []


def test_a_circle_that_rests_offers_nothing(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN", most_members=1, on_hold=True)
    dee = add_member("Dee", DEE)
    put_in(kitchen, dee)
    add_member("Ana", ANA)
    talk.text(ANA, "JOIN KITCHEN")
    talk.text(DEE, "leave circle kitchen")
    assert rounds(talk) == []


def test_a_slip_of_the_thumb_is_forgiven_and_a_guess_is_not(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN")
    hidden = circle("Tuesday Few", "FEW", openness=Openness.INVITE, invite_code="BCDFGHJK")
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "JOIN KITCHN") == ["circle_welcome"]
    assert place(ana, kitchen)
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert place(ana, kitchen) is None
    assert talk.text(ANA, "JOIN BCDFGHJX") == ["already_joined_neutral"]
    assert place(ana, hidden) is None
    assert talk.text(ANA, "join nowhere") == ["already_joined_neutral"]


# Leaving


def test_leaving_asks_nothing_and_oops_takes_it_back(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN")
    ana = add_member("Ana", ANA, "ana@example.org")
    put_in(kitchen, ana)
    assert talk.text(ANA, "Leave kitchen please") == ["circle_left"]
    assert place(ana, kitchen) is None
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert place(ana, kitchen)
    assert talk.mail("ana@example.org", "LEAVE KITCHEN") == ["circle_left"]
    assert place(ana, kitchen) is None
    assert talk.text(ANA, "DEJAR KITCHEN") == ["circle_left"]  # twice does no harm
    with db.reading() as session:
        assert session.get_one(Member, ana.id).paused_until is None


# A year, an absence, the week


def test_a_year_is_spoken_of_once_and_not_to_the_hurt(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN")
    year_ago = datetime(2025, 5, 5, 16, tzinfo=NOON.tzinfo)
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN, locale="es")
    cal, dee = add_member("Cal", CAL), add_member("Dee", DEE)
    put_in(kitchen, ana, cal, dee, joined=year_ago)
    put_in(kitchen, ben, joined=year_ago.replace(year=2023))
    changed(cal, loss_on=date(2026, 1, 10))
    with db.transaction() as session:
        talked = Conversation(id=db.uuid7(), member_id=dee.id, channel="sms", created_at=NOON, unread=0)
        session.add(talked)
        session.flush()
        session.add(
            Flag(
                id=db.uuid7(), member_id=dee.id, conversation_id=talked.id, tier=RiskTier.CONCERN, label="risk",
                reasons=[], opened_at=NOON - 30 * DAY, cleared_at=NOON - 20 * DAY,
            )
        )  # fmt: skip
    said = dict(rounds(talk))
    assert set(said) == {ANA, BEN}
    assert said[ANA].startswith("A year ago you joined {{ circle_name }}.")
    assert said[BEN].startswith("Hace 3 años llegaste a {{ circle_name }}.")
    assert rounds(talk) == []
    with later(days=1):
        assert rounds(talk) == []


def test_whoever_switched_news_of_circles_off_hears_of_no_anniversary(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN")
    ana = add_member("Ana", ANA)
    put_in(kitchen, ana, joined=datetime(2025, 5, 5, 16, tzinfo=NOON.tzinfo))
    with db.transaction() as session:
        member = session.get_one(Member, ana.id)
        for subscription in member.subscriptions:
            if subscription.topic == "circle":
                subscription.state = "stopped"
    assert rounds(talk) == []


def test_after_two_meetings_the_door_is_open_once(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN", weeks=0)
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    cal, dee = add_member("Cal", CAL), add_member("Dee", DEE, discreet=True)
    put_in(kitchen, ana, ben, cal, dee, joined=NOON - 60 * DAY)
    met(kitchen, 15, ana, dee)
    met(kitchen, 8, ben)
    met(kitchen, 1, ben, cal=Rsvp.NO)
    said = dict(rounds(talk))
    assert set(said) == {ANA, DEE}  # Ben came; Cal said that he couldn't
    assert said[ANA].startswith("Monday's circle is there whenever you like. No need to reply.")
    assert said[DEE].startswith("The group is there whenever you like.")
    assert rounds(talk) == []
    with later(days=7):
        met(kitchen, 1, ben)
        assert ANA not in dict(rounds(talk))  # once
    with later(days=21):
        met(kitchen, 15, ana)
        met(kitchen, 8, ben)
        met(kitchen, 1, ben)
        assert ANA in dict(rounds(talk))  # they came again, and were away again


def test_no_open_door_where_nobody_ticked_who_came(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN")
    put_in(kitchen, add_member("Ana", ANA), joined=NOON - 60 * DAY)
    met(kitchen, 8)
    met(kitchen, 1)
    assert rounds(talk) == []


def test_the_week_goes_to_those_who_asked_for_it(talk: Talk) -> None:
    kitchen = circle("Kitchen Table", "KITCHEN")
    ana, ben = add_member("Ana", ANA, locale="es"), add_member("Ben", BEN)
    put_in(kitchen, ana, ben)
    with db.transaction() as session:
        session.execute(update(CircleMembership).where(CircleMembership.member_id == ana.id).values(digest=True))
    assert rounds(talk) == []  # it meets in a week
    with later(days=5):
        [(to, words)] = rounds(talk)
        assert (to, "Próxima reunión: mar 12 may, 19:00. Después: mar 19 may, 19:00." in words) == (ANA, True)
        assert rounds(talk) == []
    with later(days=12):
        assert len(rounds(talk)) == 1


# With everything there is: texts and mails as they arrive


@pytest.mark.usefixtures("valkey")
def test_as_it_arrives_on_both_channels(world: World) -> None:
    """Rendered, with the lines that must be there, by text and by mail: the line, the offer, a year together."""
    now = clock.now()
    with db.transaction() as session:
        made = Circle(
            id=db.uuid7(), name="Kitchen Table", slug="kitchen-table", keyword="KITCHEN", theme="Grief",
            time_zone="America/New_York", most_members=1, created_at=now,
        )  # fmt: skip
        session.add(made)
        session.flush()
        starts = now + timedelta(days=3)
        session.add(
            GroupSession(circle_id=made.id, starts_at=starts, ends_at=starts + timedelta(hours=1), created_at=now)
        )
    dee = add_member("Dee", DEE, window_from=0, window_to=1440)
    put_in(made, dee, joined=now.replace(year=now.year - 1) if (now.month, now.day) != (2, 29) else now)
    add_member("Ana", ANA, window_from=0, window_to=1440)
    add_member("Bea", email="bea@example.org", window_from=0, window_to=1440)
    world.text(ANA, "JOIN KITCHEN")
    assert "Kitchen Table is full for now" in world.phone(ANA)[-1]
    life.run()
    world.work()
    assert world.phone(DEE)[-1].startswith("A year ago you joined Kitchen Table.")
    assert "STOP" in world.phone(DEE)[-1]
    world.text(DEE, "LEAVE KITCHEN")
    life.run()
    world.work()
    assert world.phone(ANA)[-1].startswith("A place in Kitchen Table is free, and kept for you until")
    world.text(ANA, "JOIN")
    assert world.phone(ANA)[-1].startswith("You're in Kitchen Table. Next:")

    with db.transaction() as session:
        member = session.scalars(select(Member).where(Member.first_name == "Bea")).one()
        assert places.enter(session, member, session.get_one(Circle, made.id)) == places.Came.WAITS
    world.text(ANA, "LEAVE KITCHEN")
    life.run()
    world.work()
    mail = world.mailbox("bea@example.org")[-1]
    assert mail["subject"] == "A place is free"
    assert "Hello Bea," in mail["text"]
    assert "/my/" in mail["text"]
    world.answer_mail("bea@example.org", "JOIN")
    assert world.mailbox("bea@example.org")[-1]["subject"].startswith("You're in")
    assert place(member, made)
