"""What is judged when a message is claimed: each rule of a member's peace once, on both databases, with the clock held
at a Tuesday noon in New York.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from service import clock, db
from service.actions import campaigns, consent, holds, outbox, zones
from service.actions.delivery import claims
from service.actions.delivery.results import record
from service.channels.base import Outcome, Result
from service.config import Settings
from service.models.campaigns import Asks, Campaign, CampaignKind, CampaignState, Delivery, DeliveryState, Purpose
from service.models.content import Story, StoryState
from service.models.gatherings import Circle, CircleMembership, GroupSession, SessionState
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Topic,
)
from tests.actions.engine import accept, change, claim, row_of, rows, standing, start
from tests.flows.world import add_circle, add_member

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
NOON = datetime(2026, 5, 5, 16, tzinfo=UTC)  # 12:00 in New York
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUEUED, SKIPPED = DeliveryState.QUEUED, DeliveryState.SKIPPED


@pytest.fixture(autouse=True)
def noon(database: db.Database, configure: Callable[..., Settings]) -> Iterator[None]:
    configure(daily_cap=1, weekly_cap=3, sending_window="10:00-18:00")
    with clock.frozen_at(NOON):
        zones.refresh()
        yield


def at(moment: datetime) -> Any:
    return clock.frozen_at(moment)


def quiet(kind: CampaignKind = CampaignKind.STORY, **more: Any) -> Any:
    """A campaign under every rule, as coordinators send them."""
    return start(kind, override=False, **more)


def add_story(**more: Any) -> Story:
    with db.transaction() as session:
        story = Story(
            id=db.uuid7(), title="T", body_email="It helped.", body_sms="It helped.", state=StoryState.PUBLISHED,
            created_at=NOON, updated_at=NOON, **more,
        )  # fmt: skip
        session.add(story)
    return story


def alter(model: Any, *where: Any, **values: Any) -> None:
    with db.transaction() as session:
        session.execute(update(model).where(*where).values(**values))


FINAL: dict[str, tuple[str, Callable[[Member, Any], None]]] = {
    "suppressed": ("suppressed", lambda m, _: stop(m, channel=SMS)),
    "stopped everything": ("left", lambda m, _: stop(m)),
    "topic off": ("topic_off", lambda m, _: stop(m, channel=SMS, topics=[Topic.STORIES])),
    "dead": ("died", lambda m, _: change(m, state=MemberState.DIED)),
    "number unreachable": ("unreachable", lambda m, _: alter(Address, state=AddressState.UNREACHABLE)),
    "not verified any more": ("not_confirmed", lambda m, _: alter(Address, verified_at=None)),
    "number removed": ("no_address", lambda m, _: alter(Delivery, address_id=None)),
    "too old": ("stale", lambda m, _: alter(Campaign, expires_at=NOON)),
    "cancelled meanwhile": ("cancelled", lambda m, c: alter(Campaign, state=CampaignState.CANCELLED)),
    "a loss": ("after_loss", lambda m, _: change(m, loss_on=date(2026, 4, 1))),
    "topic paused without an end": (
        "paused", lambda m, _: alter(Subscription, state=SubscriptionState.PAUSED, paused_until=None),
    ),
    "a break beyond its life": ("paused", lambda m, _: change(m, paused_until=NOON + 30 * DAY)),
}  # fmt: skip


def stop(member: Member, **more: Any) -> None:
    with db.transaction() as session:
        consent.stop(session, session.get_one(Member, member.id), source="test", **more)


@pytest.mark.parametrize("name", FINAL)
def test_each_reason_alone(name: str) -> None:
    reason, happens = FINAL[name]
    member = add_member("Ana", "+12025550123", "ana@example.org")
    campaign = quiet()
    happens(member, campaign)
    assert claim() == []
    assert standing(campaign) == (SKIPPED, reason)
    with at(NOON + 40 * DAY):
        assert claim() == []  # a skip is for good


def test_a_flag_holds_even_what_skips_the_window_and_clearing_lets_it_go() -> None:
    member = add_member("Ana", "+12025550123")
    campaign = start(override=True)
    change(member, held_at=NOON)
    assert claim() == []
    assert standing(campaign) == (QUEUED, "held")
    assert row_of(campaign).due_at == NOON + HOUR
    change(member, held_at=None)
    assert claim() == []  # it would be looked at in an hour
    with db.transaction() as session:
        claims.release(session, member.id, "held")
    assert len(claim()) == 1


def test_a_flag_to_the_end_of_its_life_lets_it_expire() -> None:
    member = add_member("Ana", "+12025550123")
    campaign = start(CampaignKind.CHECKIN, override=True)
    change(member, held_at=NOON)
    ends = NOON + DAY
    with at(ends - HOUR / 2):
        assert claim() == []
        assert row_of(campaign).due_at == ends  # held to the last minute, not given up an hour early
    with at(ends):
        assert claim() == []
    assert standing(campaign) == (SKIPPED, "stale")


def test_a_break_is_waited_out() -> None:
    member = add_member("Ana", "+12025550123")
    campaign = quiet()
    change(member, paused_until=NOON + 2 * DAY)
    assert claim() == []
    assert (standing(campaign), row_of(campaign).due_at) == ((QUEUED, "paused"), NOON + 2 * DAY)
    with at(NOON + 2 * DAY):
        assert len(claim()) == 1


def test_a_circle_that_mourns_rests_also_when_only_the_session_names_it() -> None:
    circle = add_circle()
    add_member("Ana", "+12025550123", circle=circle)
    with db.reading() as session:
        meeting = session.query(GroupSession).one()
    campaign = start(CampaignKind.INVITE, "{{ session_day }}", session_id=meeting.id)
    alter(Circle, on_hold=True)
    assert claim() == []
    assert standing(campaign) == (QUEUED, "circle_rests")
    alter(Circle, on_hold=False)
    with at(NOON + HOUR):
        assert len(claim()) == 1


def test_an_invite_is_pointless_once_the_session_has_begun_was_cancelled_or_the_circle_was_left() -> None:
    circle = add_circle()
    member = add_member("Ana", "+12025550123", circle=circle)
    with db.reading() as session:
        meeting = session.query(GroupSession).one()
    made = [start(CampaignKind.INVITE, "Come?", session_id=meeting.id, circle_id=circle.id) for _ in range(2)]
    alter(GroupSession, state=SessionState.CANCELLED)
    assert claim(limit=1) == []
    assert standing(made[0]) == (SKIPPED, "session_cancelled")
    alter(GroupSession, state=SessionState.PLANNED)
    alter(CircleMembership, CircleMembership.member_id == member.id, left_at=NOON)
    assert claim(limit=1) == []
    assert standing(made[1]) == (SKIPPED, "left_circle")
    alter(CircleMembership, CircleMembership.member_id == member.id, left_at=None)
    third = start(CampaignKind.INVITE, "Come?", session_id=meeting.id, circle_id=circle.id)
    with at(meeting.starts_at):
        assert claim() == []
    assert standing(third) == (SKIPPED, "stale")


def test_a_story_that_was_taken_back_goes_to_nobody_and_one_that_rests_waits() -> None:
    add_member("Ana", "+12025550123")
    story = add_story()
    campaign = start(words="{{ story_body }}", story_id=story.id)
    alter(Story, state=StoryState.RESTING)
    assert claim() == []
    assert standing(campaign) == (QUEUED, "story_rests")
    alter(Story, state=StoryState.PUBLISHED)
    with at(NOON + HOUR):
        [c] = claim()
        claims.give_back([c])
        alter(Story, state=StoryState.WITHDRAWN)
        assert claim() == []
    assert standing(campaign) == (SKIPPED, "story_withdrawn")


@pytest.mark.parametrize("gone", [{"consent_sms": False}, {"consent_until": date(2026, 5, 4)}])
def test_an_author_who_agreed_to_less_is_heard(gone: dict[str, Any]) -> None:
    add_member("Ana", "+12025550123")
    story = add_story()
    campaign = start(words="{{ story_body }}", story_id=story.id)
    alter(Story, **gone)
    assert claim() == []
    assert standing(campaign) == (SKIPPED, "story_withdrawn")


def test_a_story_goes_to_nobody_twice_even_by_two_campaigns_at_once() -> None:
    add_member("Ana", "+12025550123", "ana@example.org")
    story = add_story()
    first = start(words="{{ story_body }}", story_id=story.id)
    second = start(words="Again: {{ story_body }}", story_id=story.id)
    mine = claim()
    assert [c.campaign_id for c in mine] == [first]
    assert standing(second) == (QUEUED, "story_on_its_way")
    claims.mark_sending(mine)
    with at(NOON + timedelta(seconds=31)):
        assert claim() == []  # still nobody knows whether the first one left
        record([Result(mine[0].id, Outcome.ACCEPTED, "SM1")], {mine[0].id: mine[0]})
    with at(NOON + timedelta(seconds=62)):
        assert claim() == []
    assert standing(second) == (SKIPPED, "already_read")


def test_whoever_chose_both_channels_gets_both_copies_of_a_story() -> None:
    add_member("Ana", "+12025550123", "ana@example.org", both_channels=True)
    story = add_story()
    start(words="{{ story_body }}", mail="{{ story_body }}", story_id=story.id)
    accept(claim("texts"))
    accept(claim("emails"))
    assert [row.state for row in rows()] == [DeliveryState.ACCEPTED] * 2
    again = start(words="{{ story_body }}", mail="{{ story_body }}", story_id=story.id)
    assert rows(again) == []


def test_outside_the_window_it_waits_for_the_morning_of_each_member() -> None:
    night = datetime(2026, 5, 5, 3, tzinfo=UTC)  # 23:00 in New York, 12:00 in Tokyo
    add_member("Ana", "+12025550123", zone="America/New_York")
    add_member("Ben", "+12025550145", zone="Asia/Tokyo")
    add_member("Cleo", "+12025550167", zone="Asia/Kolkata")
    with at(night):
        campaign = quiet()
        assert [c.first_name for c in claim()] == ["Ben"]
        ana, _, cleo = rows(campaign)
        assert ana.due_at == datetime(2026, 5, 5, 14, tzinfo=UTC)
        assert cleo.due_at == datetime(2026, 5, 5, 4, 30, tzinfo=UTC)
    with at(NOON):
        assert "Ana" in [c.first_name for c in claim()]


def test_own_hours_count_in_place_of_ours() -> None:
    add_member("Ana", "+12025550123", window_from=7 * 60, window_to=9 * 60)
    add_member("Ben", "+12025550145", window_from=20 * 60, window_to=22 * 60)
    eight = datetime(2026, 5, 5, 12, tzinfo=UTC)
    with at(eight):
        campaign = quiet()
        assert [c.first_name for c in claim()] == ["Ana"]  # ours is not open yet
        assert rows(campaign)[1].due_at == datetime(2026, 5, 6, 0, tzinfo=UTC)


def test_now_skips_window_caps_and_questions_and_nothing_else() -> None:
    member = add_member("Ana", "+12025550123")
    night = NOON + 12 * HOUR
    with at(night):
        for _ in range(3):
            start(CampaignKind.INVITE, "Come?", override=True)
            accept(claim())
        assert [row.state for row in rows()] == [DeliveryState.ACCEPTED] * 3
        change(member, paused_until=night + DAY)
        alter(Subscription, Subscription.topic == Topic.STORIES, state=SubscriptionState.STOPPED)
        assert rows(start(CampaignKind.INVITE, "Come?", override=True)) == []  # a break is not skipped
        change(member, paused_until=None)
        assert rows(start(CampaignKind.STORY, override=True)) == []  # nor is a topic that is off


def test_caps_count_people_over_all_campaigns_and_channels_and_invites_go_first() -> None:
    add_member("Ana", "+12025550123", "ana@example.org", both_channels=True)
    tool = quiet(CampaignKind.TOOL, mail="Hello.")
    invite = quiet(CampaignKind.INVITE, words="Come?")
    story = quiet(CampaignKind.STORY, words="A story.")
    [first] = claim("texts")
    assert first.campaign_id == invite  # of what waits the invite leaves first
    waiting = {row.campaign_id: row for row in rows() if row.channel == SMS and row.reason}
    assert {row.reason for row in waiting.values()} == {"cap"}
    assert claim("emails") == []  # another channel is the same person
    accept([first])
    with at(NOON + timedelta(seconds=31)):
        assert claim() == []
        assert {row.due_at for row in rows() if row.state == QUEUED} == {NOON + DAY}
    with at(NOON + DAY):
        [second] = claim("texts")
        accept([second])
        both = claim("emails")
        assert [c.campaign_id for c in both] == [second.campaign_id] if second.campaign_id == tool else both == []
    with at(NOON + 2 * DAY + timedelta(seconds=31)):
        accept(claim("texts"))
    fourth = quiet(CampaignKind.ANNOUNCEMENT, words="News.", topic=Topic.CIRCLE)
    with at(NOON + 3 * DAY + HOUR):
        accept(claim("texts"))
    assert standing(fourth) == (SKIPPED, "stale")  # three a week: it would have waited for longer than it lives
    assert story in {row.campaign_id for row in rows() if row.state == DeliveryState.ACCEPTED}


def test_a_members_own_number_of_messages_counts_and_a_failed_one_does_not() -> None:
    add_member("Ana", "+12025550123", weekly_cap=1)
    add_member("Ben", "+12025550145", weekly_cap=0)
    quiet(CampaignKind.TOOL)
    mine = claim()
    for c in mine:
        claims.mark_sending([c])
    record([Result(c.id, Outcome.FAILED, code="x") for c in mine], {c.id: c for c in mine})
    quiet(CampaignKind.STORY)
    accept(claim())
    with at(NOON + DAY):
        quiet(CampaignKind.TOOL)
        assert [c.first_name for c in claim()] == ["Ben"]


def test_two_invites_are_never_open_at_once_over_both_channels_until_answered(
    configure: Callable[..., Settings],
) -> None:
    configure(daily_cap=0, weekly_cap=0)
    member = add_member("Ana", "+12025550123", "ana@example.org", prefers=EMAIL)
    first = quiet(CampaignKind.INVITE, mail="Come?")
    accept(claim())
    change(member, preferred_channel=SMS)
    second = quiet(CampaignKind.INVITE, mail="Come?")
    checkin = quiet(CampaignKind.CHECKIN)
    assert [c.campaign_id for c in claim()] == [checkin]  # a 1–5 and a YES/NO may stand together
    assert standing(second) == (QUEUED, "open_question")
    assert row_of(second).due_at == NOON + 2 * DAY
    alter(Delivery, Delivery.campaign_id == first, answered_at=NOON)
    with db.transaction() as session:
        claims.release(session, member.id, "open_question")
    assert [c.campaign_id for c in claim()] == [second]


def test_a_question_ends_when_its_session_begins(configure: Callable[..., Settings]) -> None:
    configure(daily_cap=0, weekly_cap=0)
    circle = add_circle()
    add_member("Ana", "+12025550123", circle=circle)
    with db.reading() as session:
        meeting = session.query(GroupSession).one()
    alter(GroupSession, starts_at=NOON + 3 * HOUR, ends_at=NOON + 4 * HOUR)
    start(CampaignKind.INVITE, "{{ session_time }}", session_id=meeting.id)
    accept(claim())
    second = quiet(CampaignKind.INVITE, words="A picnic?")
    assert claim() == []
    assert row_of(second).due_at == NOON + 3 * HOUR
    with at(NOON + 3 * HOUR):
        assert len(claim()) == 1


def test_two_for_one_member_in_a_batch_count_against_each_other() -> None:
    add_member("Ana", "+12025550123")
    quiet(CampaignKind.STORY)
    quiet(CampaignKind.TOOL)
    [first] = claim()
    [other] = [row for row in rows() if row.id != first.id]
    assert (other.state, other.reason) == (QUEUED, "cap")
    assert other.due_at == NOON + timedelta(seconds=30)  # not a day yet: the first may still come to nothing
    claims.give_back([first])
    alter(Delivery, Delivery.id == first.id, due_at=NOON + 5 * DAY)
    with at(NOON + timedelta(seconds=30)):
        assert [c.id for c in claim()] == [other.id]


def test_a_paused_campaign_waits_where_no_worker_looks_and_comes_back(configure: Callable[..., Settings]) -> None:
    add_member("Ana", "+12025550123")
    campaign = start()
    [c] = claim()
    campaigns.pause(campaign)
    assert claims.mark_sending([c]) == set()  # claimed, and still it does not leave
    claims.give_back([c])
    assert claim() == []
    assert row_of(campaign).queue == "held"
    assert claim() == []
    campaigns.resume(campaign)
    assert len(claim()) == 1


def test_what_a_killed_resume_left_behind_is_fetched() -> None:
    add_member("Ana", "+12025550123")
    campaign = start()
    campaigns.pause(campaign)
    claim()
    alter(Campaign, state=CampaignState.SENDING)  # the resume got this far
    assert claim() == []
    assert campaigns.fetch_stranded() == 1
    assert len(claim()) == 1
    assert campaigns.fetch_stranded() == 0


def test_a_stop_a_break_or_a_flag_takes_back_what_is_claimed() -> None:
    for place, happens in enumerate([stop, lambda m: pause(m), lambda m: hold(m)]):
        member = add_member("Ana", f"+120255501{place:02}")
        start(CampaignKind.TOOL, member_ids=(member.id,))
        [c] = claim()
        happens(member)
        assert claims.mark_sending([c]) == set()


def pause(member: Member) -> None:
    with db.transaction() as session:
        consent.pause(session, session.get_one(Member, member.id), NOON + DAY, source="test")


def hold(member: Member) -> None:
    with db.transaction() as session:
        holds.take_back(session, [member.id])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_stop_also_takes_back_a_claim_that_is_not_committed_yet(database: db.Database) -> None:
    """The claim's transaction has judged and not committed when STOP comes: it waits, and then wins."""
    import threading

    member = add_member("Ana", "+12025550123")
    start()
    [row] = rows()
    with db.current().write_session() as claiming:
        claiming.begin()
        claiming.execute(
            update(Delivery)
            .where(Delivery.id == row.id)
            .values(claim=db.uuid7(), claimed_until=NOON + HOUR, updated_at=NOON)
        )
        stopping = threading.Thread(target=stop, args=(member,))
        stopping.start()
        stopping.join(0.3)
        assert stopping.is_alive()  # it waits for the claim
        claiming.commit()
        stopping.join(5)
    assert row_of(row.campaign_id).claim is None  # type: ignore[arg-type]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_workers_at_the_same_moment_do_not_both_find_the_cap_free(database: db.Database) -> None:
    from service.actions.delivery.judging import judge

    add_member("Ana", "+12025550123", "ana@example.org")
    texts = quiet(CampaignKind.TOOL)
    add_member("Ben", "+12025550145")
    with db.current().write_session() as other:
        other.begin()
        assert [verdict for _, verdict in judge(other, [row_of(texts).id], NOON)] == [None]
        quiet(CampaignKind.STORY)
        assert [c.first_name for c in claim("texts", limit=10)] == ["Ben"]  # Ana is in other hands
        other.rollback()
    with at(NOON + timedelta(seconds=2)):
        assert [c.first_name for c in claim("texts")] == ["Ana"]


def say(member: Member, template: str, purpose: Purpose = Purpose.ANSWER, **context: Any) -> int:
    with db.transaction() as session:
        message = outbox.say(session, session.get_one(Member, member.id), template, SMS, purpose, context)
        found = session.query(Delivery).filter(Delivery.message_id == message.id).one()
        return found.id


def test_a_stopped_member_gets_the_confirmation_the_answer_to_help_and_the_line_and_nothing_else() -> None:
    member = add_member("Ana", "+12025550123")
    stop(member)
    may = [
        say(member, "stopped", everything=False),
        say(member, "stopped_with_line", everything=False),
        say(member, "wrong_number_done"),
        say(member, "deletion_received"),
        say(member, "email_only_please_done"),
        say(member, "help"),
        say(member, "risk_answer", Purpose.SAFETY),
        say(member, "not_adult", Purpose.SAFETY),
    ]
    may_not = [
        say(member, "started_again", per_week=1),  # START lifts the stop first; this one was overtaken by a STOP
        say(member, "cannot_place"),
        say(member, "checkin_4", line=False),
        say(member, "welcome", per_week=1),
        say(member, "confirm", Purpose.CONFIRM, topics=[], per_week=1, confirm_url=""),
        say(member, "help", Purpose.REPLY),
    ]
    assert {c.id for c in claim()} == set(may)
    refused = {row.id: row.reason for row in rows() if row.state == SKIPPED}
    assert refused == dict.fromkeys(may_not, "suppressed")


def test_answers_wait_for_no_window_cap_break_or_flag_and_the_phone_of_the_dead_gets_the_line_only() -> None:
    member = add_member("Ana", "+12025550123")
    change(member, held_at=NOON, paused_until=NOON + DAY)
    with at(NOON + 12 * HOUR):
        ids = [
            say(member, "checkin_4", line=False),
            say(member, "checkin_4", line=False),
            say(member, "checkin_4", line=False),
        ]
        assert [c.id for c in claim()] == ids
    change(member, state=MemberState.DIED)
    say(member, "checkin_4", line=False)
    line = say(member, "risk_answer", Purpose.SAFETY)
    with at(NOON + 13 * HOUR):
        assert line in {c.id for c in claim()}
    assert rows()[3].reason == "died"


def test_safety_and_pages_go_before_answers_and_answers_before_replies() -> None:
    member = add_member("Ana", "+12025550123")
    say(member, "help", Purpose.REPLY)
    say(member, "checkin_4", line=False)
    with db.transaction() as session:
        outbox.say_to(
            session, SMS, "+12025550199", "page_staff", country="", language="en", purpose=Purpose.PAGE,
            context={"page_url": "x"},
        )  # fmt: skip
    say(member, "risk_answer", Purpose.SAFETY)
    assert [c.purpose for c in claim()] == [Purpose.SAFETY, Purpose.PAGE, Purpose.ANSWER, Purpose.REPLY]


def test_a_stranger_who_stopped_gets_the_confirmation_and_not_the_question() -> None:
    with db.transaction() as session:
        say_to: dict[str, Any] = {"country": "US", "language": "en"}
        outbox.say_to(session, SMS, "+12025550123", "ask_adult", **say_to)
        consent.suppress(session, SMS, "+12025550123", "opt_out", "sms")
        outbox.say_to(session, SMS, "+12025550123", "stopped", context={"everything": False}, **say_to)
    assert len(claim()) == 1
    assert [row.state for row in rows()] == [SKIPPED, QUEUED]


def test_a_claim_that_ran_out_is_anybodys_and_the_first_worker_has_lost_it() -> None:
    add_member("Ana", "+12025550123")
    start()
    [first] = claim()
    assert claim() == []
    with at(NOON + timedelta(seconds=61)):
        assert claims.mark_sending([first]) == set()
        [second] = claim()
        claims.give_back([first])  # what it no longer holds it cannot give away
        claims.refuse(first, "cannot_render")
        assert claims.mark_sending([second]) == {second.id}


def test_marking_renews_the_lease_so_that_no_request_outlives_it(configure: Callable[..., Settings]) -> None:
    configure(lease_seconds=5, send_timeout=10)
    add_member("Ana", "+12025550123")
    start()
    [c] = claim()
    with at(NOON + timedelta(seconds=40)):
        claims.mark_sending([c])
        [row] = rows()
        assert row.claimed_until == clock.now() + timedelta(seconds=50)  # four rounds, and its own


def test_what_a_campaign_asks_is_on_its_deliveries() -> None:
    add_member("Ana", "+12025550123")
    kinds = {CampaignKind.INVITE: Asks.YES_NO, CampaignKind.CHECKIN: Asks.SCORE, CampaignKind.STORY: Asks.ME_TOO,
             CampaignKind.TOOL: None}  # fmt: skip
    for kind, asks in kinds.items():
        assert row_of(start(kind)).asks == asks
    silent = add_story(me_too_allowed=False)
    assert row_of(start(words="{{ story_body }}", story_id=silent.id)).asks is None
