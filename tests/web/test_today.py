"""Today: what needs a person now, in words, for exactly those who may see it."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from sqlalchemy import func, select

from service import clock, db
from service.actions.delivery import budget
from service.models.campaigns import (
    Campaign,
    CampaignKind,
    CampaignState,
    Delivery,
    DeliveryState,
    Purpose,
    Usage,
)
from service.models.conversations import CheckIn, Conversation, ConversationState, Flag, RiskTier
from service.models.gatherings import CircleStaff, GroupSession, Invitation, Rsvp
from service.models.members import ChannelName, Member, MemberState
from service.models.staff import AuditEntry, Coordinator, DutyShift
from tests.flows.world import add_circle, add_member
from tests.web.conftest import Enter

TODAY = "/console/today/"


def words(client: FlaskClient) -> str:
    """The page as text, without the banner and the navigation around it."""
    page = client.get(TODAY)
    assert page.status_code == 200
    main = page.text[page.text.index("<main") : page.text.index("</main>")]
    found = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))
    return re.sub(r" ([:,.])", r"\1", found)


def wait(member: Member, hours: float) -> Conversation:
    """A conversation that has waited for a person so long."""
    since = clock.now() - timedelta(hours=hours)
    with db.transaction() as session:
        talk = Conversation(
            id=db.uuid7(), member_id=member.id, channel=ChannelName.SMS, state=ConversationState.NEEDS_REPLY,
            waiting_since=since, created_at=since,
        )  # fmt: skip
        session.add(talk)
    return talk


def flag(talk: Conversation, tier: RiskTier, minutes: int, **more: Any) -> None:
    with db.transaction() as session:
        opened = clock.now() - timedelta(minutes=minutes)
        session.add(Flag(conversation_id=talk.id, member_id=talk.member_id, tier=tier, opened_at=opened, **more))


def check_in(member_id: UUID, score: int, days: float = 0) -> None:
    with db.transaction() as session:
        session.add(CheckIn(member_id=member_id, score=score, at=clock.now() - timedelta(days=days)))


def on_duty(until: timedelta) -> None:
    with db.transaction() as session:
        for person in session.scalars(select(Coordinator)):
            session.add(
                DutyShift(coordinator_id=person.id, starts_at=clock.now() - timedelta(hours=1),
                          ends_at=clock.now() + until, tier=1)
            )  # fmt: skip


def test_a_calm_day_says_so(console: FlaskClient) -> None:
    on_duty(timedelta(days=30))
    page = words(console)
    assert "Nothing waits for you." in page
    assert "You now." in page
    assert "The rota has no gap in the next seven days." in page
    assert "open safety flag" not in page
    assert "Everybody who asked to join has confirmed." in page


def test_flags_come_first_and_the_one_that_nobody_has_first_of_all(console: FlaskClient) -> None:
    ana, ben, cleo = (wait(add_member(n, f"+1202555012{i}"), 1) for i, n in enumerate(("Ana", "Ben", "Cleo")))
    flag(ana, RiskTier.IMMINENT, 50, acknowledged_at=clock.now())
    flag(ben, RiskTier.CONCERN, 40)
    flag(cleo, RiskTier.IMMINENT, 5, label="minor")
    flag(cleo, RiskTier.CONCERN, 90, cleared_at=clock.now(), outcome="talked")
    page = words(console)
    assert "3 open safety flags" in page
    order = [page.index(name) for name in ("Cleo", "Ben", "Ana")]
    assert order == sorted(order)
    assert page.index("open safety flags") < page.index("Replies")
    assert "Cleo says they are under 18" in page
    assert "50 minutes ago, somebody has it" in page
    assert "40 minutes ago, nobody has it yet" in page
    assert f"/console/inbox/{ana.id}" in console.get(TODAY).text


def test_replies_low_check_ins_and_newcomers(console: FlaskClient) -> None:
    ana, ben = add_member("Ana", "+12025550123"), add_member("Ben", "+12025550145")
    wait(ana, 5)
    wait(ben, 2)
    check_in(ana.id, 2, days=1)
    check_in(ben.id, 1, days=2)
    check_in(ben.id, 4, days=1)  # has been better since
    check_in(add_member("Old", "+12025550199").id, 1, days=4)
    with db.transaction() as session:
        session.add(Member(first_name="New", state=MemberState.PENDING, created_at=clock.now() - timedelta(days=2)))
    page = words(console)
    assert "2 people wait for an answer, the first since" in page
    low = page[page.index("Low check-ins") : page.index("On duty")]
    assert "Ana 2 hard, 1 day ago" in low
    assert "Ben" not in low
    assert "Old" not in low
    assert "1 person has asked to join and not confirmed yet, the first 2 days ago" in page
    assert "Nothing waits" not in page


def test_sessions_campaigns_and_a_gap_in_the_rota(console: FlaskClient) -> None:
    circle = add_circle("The Kitchen Table")
    on_duty(timedelta(hours=5))
    now = clock.now()
    members = [add_member(f"M{n}", f"+1202555{n:04d}") for n in range(3)]
    with db.transaction() as session:
        meeting = session.scalar(select(GroupSession).where(GroupSession.circle_id == circle.id))
        assert meeting
        for member, rsvp in zip(members, (Rsvp.YES, Rsvp.YES, Rsvp.NO), strict=True):
            session.add(Invitation(session_id=meeting.id, member_id=member.id, rsvp=rsvp, created_at=now))
        far = now + timedelta(days=30)
        session.add(GroupSession(circle_id=circle.id, title="Far", starts_at=far, ends_at=far, created_at=now))
        for state in (CampaignState.SCHEDULED, CampaignState.FINISHED):
            session.add(
                Campaign(name=f"A {state} one", kind=CampaignKind.CHECKIN, channels="sms", audience={}, state=state,
                         scheduled_at=now + timedelta(days=1), created_at=now, updated_at=now)
            )  # fmt: skip
    page = words(console)
    assert "2 yes, 0 maybe, 1 no" in page
    assert page.count("The Kitchen Table") == 1
    assert "A scheduled one scheduled Leaves" in page
    assert "A finished one" not in page
    assert "Nobody has the time from" in page


def spent(country: str, dollars: int) -> None:
    with db.transaction() as session:
        session.add(
            Usage(day=clock.now().date(), channel=ChannelName.SMS, country=country, messages=900, segments=900,
                  cost=dollars * 1_000_000)
        )  # fmt: skip


def test_a_budget_that_runs_out_is_pointed_out_before_texts_wait(enter: Enter, console: FlaskClient) -> None:
    for country, dollars in (("US", 8), ("GB", 11), ("MX", 1)):
        budget.set_budget(country, Decimal(10), None)
        spent(country, dollars)
    page = words(console)
    assert "About 80% of this month’s budget for texts to US is used." in page
    assert "The budget for texts to GB is used up" in page
    assert "Safety, STOP and HELP leave all the same. An administrator can raise it" in page
    assert "MX" not in page
    assert "/console/settings/budgets" not in console.get(TODAY).text
    assert "/console/settings/budgets" in enter("admin").get(TODAY).text
    assert "budget" not in words(enter("circle_coordinator"))


def test_what_nobody_knows_is_put_before_a_person(enter: Enter, console: FlaskClient) -> None:
    long_ago = clock.now() - timedelta(hours=2)
    with db.transaction() as session:
        for _ in range(3):
            session.add(
                Delivery(state=DeliveryState.UNKNOWN, channel=ChannelName.EMAIL, queue="replies", due_at=long_ago,
                         sending_at=long_ago, purpose=Purpose.ANSWER, priority=1, created_at=long_ago,
                         updated_at=long_ago)
            )  # fmt: skip
    page = words(console)
    assert "3 messages may or may not have left" in page
    assert "An administrator decides, in Settings." in page
    assert "Nothing waits for you." not in page
    assert "/console/settings/deliveries" in enter("admin").get(TODAY).text
    assert "may not have left" not in words(enter("circle_coordinator"))


def test_nobody_on_duty_is_said_plainly(console: FlaskClient) -> None:
    assert "Nobody is on duty now." in words(console)


def test_the_mood_of_a_week_is_shown_for_five_people_and_no_fewer(console: FlaskClient) -> None:
    members = [add_member(f"M{n}", f"+1202555{n:04d}").id for n in range(5)]
    for member_id in members[:4]:
        check_in(member_id, 4, days=14)
    assert "Averages show when at least 5 people check in within a week." in words(console)
    check_in(members[0], 2, days=14)  # a second answer of the same person is no fifth person
    assert "Averages show" in words(console)
    check_in(members[4], 3, days=14)
    page = console.get(TODAY).text
    assert 'aria-label="Average check-in by week: 3.5"' in page
    assert "<td>3.5</td>" in page
    assert page.count("fewer than 5 people") == 7


def test_a_circle_coordinator_sees_their_own_circles(enter: Callable[..., FlaskClient]) -> None:
    mine, other = add_circle("Mine"), add_circle("Other", "OTHER")
    ana = add_member("Ana", "+12025550123", circle=mine)
    ben = add_member("Ben", "+12025550145", circle=other)
    for member in (ana, ben):
        talk = wait(member, 1)
        flag(talk, RiskTier.CONCERN, 5)
        check_in(member.id, 1)
    with db.transaction() as session:
        session.add(Member(first_name="New", state=MemberState.PENDING, created_at=clock.now()))
    theirs = enter("circle_coordinator")
    assert "Nothing waits for you." in words(theirs)
    with db.transaction() as session:
        me = session.scalar(select(Coordinator).where(Coordinator.email == "circle_coordinator@example.org"))
        assert me
        session.add(CircleStaff(circle_id=mine.id, coordinator_id=me.id))
    page = words(theirs)
    assert "1 open safety flag" in page
    assert "1 person waits for an answer" in page
    assert "Ana" in page
    assert "Mine" in page
    for hidden in ("Ben", "Other"):
        assert hidden not in page
    assert "Everybody who asked to join has confirmed." in page
    everything = words(enter("admin"))
    assert "2 open safety flags" in everything
    assert "1 person has asked to join" in everything


def test_looking_changes_nothing_and_strangers_are_shown_the_door(console: FlaskClient, client: FlaskClient) -> None:
    flag(wait(add_member("Ana", "+12025550123"), 1), RiskTier.IMMINENT, 5)
    with db.reading() as session:
        before = session.scalar(select(func.count()).select_from(AuditEntry))
    words(console)
    with db.reading() as session:
        assert session.scalar(select(Flag.acknowledged_at)) is None
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == before
    assert client.get(TODAY).status_code == 302
