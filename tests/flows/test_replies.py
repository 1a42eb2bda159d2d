"""The rules of conversation, told as stories: what members write by text and by mail, and what comes of it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service import clock, db
from service.actions import campaigns, consent, conversations, gatherings, joining_by_text, outbox, safety
from service.actions import new_members as newcomers
from service.actions.conversations import receiving, store
from service.models.campaigns import CampaignKind, Delivery, DeliveryState, Purpose
from service.models.content import Resonance, Story, StoryState
from service.models.conversations import CheckIn, ConversationState, Message, RiskTier, WebhookEvent
from service.models.gatherings import GroupSession, Invitation, Rsvp
from service.models.members import Member, MemberState, Subscription, SubscriptionState, Topic
from service.models.staff import Coordinator, DutyShift, Role
from tests.flows.talk import EMAIL, NOON, SMS, Talk, conversation, flags, messages, waits
from tests.flows.world import add_circle, add_member

ANA, BEN = "+12025550123", "+12025550145"
MAIL = "ana@example.org"
MAYA = "+12025550199"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What is told here is about words; that the engine does the same on PostgreSQL is told elsewhere."""


def later(**more: float) -> Any:
    return clock.frozen_at(clock.now() + timedelta(**more))


def count(model: Any) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def of(member: Member) -> Member:
    with db.reading() as session:
        return session.get_one(Member, member.id)


def on(member: Member, topic: Topic = Topic.STORIES) -> dict[str, SubscriptionState]:
    with db.reading() as session:
        rows = session.scalars(
            select(Subscription).where(Subscription.member_id == member.id, Subscription.topic == topic)
        )
        return {row.channel.value: row.state for row in rows}


def stopped(channel: Any, address: str) -> bool:
    with db.reading() as session:
        return consent.suppressed(session, channel, address)


def on_duty() -> Coordinator:
    with db.transaction() as session:
        maya = Coordinator(
            id=db.uuid7(), email="maya@hearthline.example", name="Maya Ortiz", role=Role.SAFEGUARDING, phone=MAYA,
            created_at=NOON,
        )  # fmt: skip
        session.add(maya)
        session.flush()
        session.add(DutyShift(coordinator_id=maya.id, starts_at=NOON, ends_at=NOON + 9 * DAY, tier=1))
    return maya


def meeting(circle: Any = None, **more: Any) -> GroupSession:
    with db.transaction() as session:
        circle = circle or add_circle_in(session)
        starts = NOON + 3 * DAY
        values = {"starts_at": starts, "ends_at": starts + HOUR, "created_at": NOON} | more
        found = GroupSession(id=db.uuid7(), circle_id=circle.id, **values)
        session.add(found)
    return found


def add_circle_in(session: Any) -> Any:
    from service.models.gatherings import Circle

    circle = Circle(
        id=db.uuid7(), name="Sunday Circle", slug="sunday", keyword="SUNDAY", time_zone="UTC", created_at=NOON
    )
    session.add(circle)
    session.flush()
    return circle


def add_story() -> Story:
    with db.transaction() as session:
        story = Story(
            id=db.uuid7(), title="T", body_email="It helped.", body_sms="It helped.", state=StoryState.PUBLISHED,
            created_at=NOON, updated_at=NOON,
        )  # fmt: skip
        session.add(story)
    return story


def rsvp_of(member: Member) -> Rsvp | None:
    with db.reading() as session:
        return session.scalar(select(Invitation.rsvp).where(Invitation.member_id == member.id))


# Answers, repeated back, and taken back


def test_oops_takes_back_a_score_an_rsvp_a_me_too_a_pause_less_and_a_topic(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "4") == ["checkin_4"]
    assert talk.text(ANA, "2") == ["checkin_2"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    with db.reading() as session:
        assert session.scalars(select(CheckIn.score)).all() == [4]
    assert talk.text(ANA, "oops") == ["oops_undone"]
    assert count(CheckIn) == 0

    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    assert talk.text(ANA, "yes") == ["rsvp_yes"]
    assert talk.text(ANA, "no") == ["rsvp_no"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert rsvp_of(ana) == Rsvp.YES
    talk.text(ANA, "OOPS")
    assert rsvp_of(ana) is None

    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=add_story().id)
    assert talk.text(ANA, "me too") == ["me_too_noted"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    with db.reading() as session:
        assert session.scalars(select(Resonance.taken_back_at)).one() is not None

    assert talk.text(ANA, "PAUSE") == ["paused"]
    assert of(ana).paused_until == NOON + 14 * DAY
    talk.text(ANA, "OOPS")
    assert of(ana).paused_until is None
    assert talk.text(ANA, "LESS") == ["less_often"]
    assert of(ana).weekly_cap == 1
    talk.text(ANA, "OOPS")
    assert of(ana).weekly_cap is None

    assert talk.text(ANA, "no more stories please") == ["topic_stopped"]
    assert on(ana)["sms"] == SubscriptionState.STOPPED
    talk.text(ANA, "OOPS")
    assert on(ana)["sms"] == SubscriptionState.ACTIVE
    with later(hours=25):
        assert talk.text(ANA, "OOPS") == ["oops_nothing"]


def test_taking_back_a_no_gives_no_seat_that_is_gone(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting(seats=1).id)
    assert talk.text(ANA, "yes") == ["rsvp_yes"]
    assert talk.text(ANA, "no") == ["rsvp_no"]
    assert talk.text(BEN, "yes") == ["rsvp_yes"]
    talk.text(ANA, "OOPS")
    with db.reading() as session:
        waiting = {i.member_id: i.waitlisted for i in session.scalars(select(Invitation))}
    assert waiting == {ana.id: True, ben.id: False}


def test_a_question_undone_may_be_answered_anew(talk: Talk) -> None:
    add_member("Ana", ANA)
    invite = talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    talk.text(ANA, "yes")
    talk.text(ANA, "OOPS")
    with db.reading() as session:
        [row] = session.scalars(select(Delivery).where(Delivery.campaign_id == invite))
        assert row.answered_at is None


def test_two_open_questions_of_different_kinds_are_told_apart(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "yes") == ["rsvp_yes"]
    assert talk.text(ANA, "3") == ["checkin_3"]
    assert sorted(talk.text(ANA, "4, and yes I'll come")) == ["checkin_4", "rsvp_yes"]
    assert rsvp_of(ana) == Rsvp.YES
    assert [m.labels.get("did") for m in messages() if m.direction == "in"] == [
        "rsvp yes", "checkin 3", "checkin 4, rsvp yes",
    ]  # fmt: skip


def test_yes_to_an_invite_whose_session_has_begun_is_not_guessed(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting(starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR).id)
    with later(hours=1):
        assert talk.text(ANA, "yes") == ["cannot_place"]
    assert rsvp_of(ana) is None
    assert waits(ana)


def test_yes_after_two_days_is_not_guessed_either(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "Come?", session_id=meeting().id)
    with later(hours=49):
        assert talk.text(ANA, "yes") == ["cannot_place"]
    assert rsvp_of(ana) is None


def test_an_invite_without_a_session_of_ours_goes_to_a_person_with_the_answer(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.INVITE, "A picnic on Sunday?")
    assert talk.text(ANA, "maybe") == ["rsvp_noted"]
    assert waits(ana)


def test_a_number_that_answers_nothing_goes_to_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "7") == ["odd_number"]
    assert count(CheckIn) == 0
    assert waits(ana)


def test_a_one_reaches_a_person_and_carries_the_line(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "1") == ["checkin_1"]
    assert "988" in talk.last.body
    assert waits(ana)


def test_counts_are_told_only_above_the_floor_and_rounded(talk: Talk) -> None:
    story = add_story()
    add_member("Ana", ANA)
    for n in range(7):
        other = add_member(f"N{n}", f"+120255502{n:02}")
        with db.transaction() as session:
            session.add(Resonance(story_id=story.id, member_id=other.id, at=NOON))
    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=story.id)
    assert talk.text(ANA, "Me too!") == ["me_too_count"]
    assert "5 others" in talk.last.body
    assert talk.text(ANA, "me too") == ["me_too_count"]
    assert count(Resonance) == 8


def test_an_answer_closes_the_question_and_what_waited_for_it_leaves(talk: Talk) -> None:
    ana = add_member("Ana", ANA, MAIL, prefers=SMS)
    talk.send(CampaignKind.INVITE, "Come?", "Come?", session_id=meeting().id)
    second = talk.send(CampaignKind.INVITE, "A picnic?", override=False)
    with db.reading() as session:
        assert session.scalars(select(Delivery.reason).where(Delivery.campaign_id == second)).all() == ["open_question"]
    assert talk.text(ANA, "no") == ["rsvp_no", "A picnic?"]
    assert rsvp_of(ana) == Rsvp.NO


def test_the_button_behind_the_link_closes_it_as_well(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    of_sunday = meeting()
    talk.send(CampaignKind.INVITE, "Come?", session_id=of_sunday.id)
    talk.send(CampaignKind.INVITE, "A picnic?", override=False)
    gatherings.answer_by_link(of_sunday.id, ana.id, Rsvp.YES)
    assert [out.body for out in talk.deliver()] == ["A picnic?"]


def test_more_than_an_answer_is_answered_and_read_by_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "4 today, my sister came to visit and we cooked together") == ["checkin_4"]
    assert waits(ana)
    with db.reading() as session:
        assert "sister" in (session.scalars(select(CheckIn.words)).one() or "")


def test_free_text_is_answered_once_a_day_and_always_read(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "hello there, how was the meeting") == ["free_text_received"]
    assert talk.text(ANA, "hello there, how was the meeting") == []
    assert waits(ana)


def test_a_picture_without_words_reaches_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "", NumMedia="1", MediaUrl0="https://api.twilio.com/media/1", MediaContentType0="image/jpeg")
    assert waits(ana)


# Joining and confirming


def newcomer(phone: str = ANA) -> Member:
    with db.transaction() as session:
        member = newcomers.new_member(session, first_name="Nia", addresses={SMS: phone}, topics=Topic, country="US")
        newcomers.claim_question(session, SMS, phone)
        newcomers.ask(session, member, SMS)
    return member


def test_yes_confirms_within_three_days(talk: Talk) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=71):
        assert talk.text(ANA, "Yes") == ["welcome"]
    assert of(nia).state == MemberState.ACTIVE


def test_yes_after_three_days_confirms_nothing(talk: Talk) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=73):
        assert "welcome" not in talk.text(ANA, "YES")
    assert of(nia).state == MemberState.PENDING


@pytest.mark.parametrize("purpose", [Purpose.CAMPAIGN, Purpose.REPLY])
def test_yes_confirms_nothing_once_we_have_asked_something_else(talk: Talk, purpose: Purpose) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=1):
        with db.transaction() as session:  # an invite by mail, say, or a person who asks how it is going
            message = outbox.write(session, session.get_one(Member, nia.id), SMS, "Shall I ring you?", purpose=purpose)
            assert message.purpose == purpose
        talk.deliver()
    with later(hours=2):
        assert "welcome" not in talk.text(ANA, "YES")
    assert of(nia).state == MemberState.PENDING


def test_help_in_between_is_no_question_of_ours(talk: Talk) -> None:
    nia = newcomer()
    talk.deliver()
    with later(hours=1):
        assert talk.text(ANA, "HELP") == ["help"]
        assert talk.text(ANA, "YES") == ["welcome"]
    assert of(nia).state == MemberState.ACTIVE


def test_no_to_the_question_is_a_no(talk: Talk) -> None:
    newcomer()
    talk.deliver()
    assert talk.text(ANA, "No") == ["stopped"]
    assert stopped(SMS, ANA)


def test_joining_by_text_asks_the_age_then_the_consent(talk: Talk) -> None:
    circle = add_circle()
    assert talk.text(ANA, "JOIN Tuesday") == ["ask_adult"]
    assert talk.text(ANA, "YES") != ["welcome"]  # a YES says nothing about an age
    assert talk.text(ANA, "ADULT") == ["confirm"]
    assert talk.text(ANA, "yes") == ["welcome", "circle_welcome"]
    with db.reading() as session:
        member = session.scalars(select(Member)).one()
        assert (member.state, member.adult_confirmed_at is not None) == (MemberState.ACTIVE, True)
        from service.models.gatherings import CircleMembership

        assert session.scalars(select(CircleMembership.circle_id)).all() == [circle.id]


def test_a_circles_word_alone_joins(talk: Talk) -> None:
    add_circle()
    assert talk.text(ANA, "tuesday") == ["ask_adult"]


def test_somebody_under_eighteen_is_answered_kindly_and_nothing_is_begun(talk: Talk) -> None:
    on_duty()
    talk.text(ANA, "JOIN")
    assert talk.text(ANA, "I'm 15") == ["not_adult"]
    [flag] = flags()
    assert (flag.label, flag.tier) == ("minor", RiskTier.CONCERN)
    assert talk.pages() == ["page_staff"]
    assert talk.text(ANA, "ADULT") == []
    assert count(Member) == 0
    assert talk.text(ANA, "I'm 15") == []  # said once


def test_a_member_under_eighteen_is_flagged_held_and_given_the_youth_line(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "I'm 15") == ["not_adult"]
    assert of(ana).held_at == NOON
    assert [f.label for f in flags()] == ["minor"]
    assert campaigns_reach(talk) == []


def campaigns_reach(talk: Talk) -> list[str]:
    """Who a campaign reaches now."""
    talk.left.clear()
    talk.send(CampaignKind.TOOL, "Breathe.", "Breathe.")
    return [out.to for out in talk.left]


def test_a_child_at_risk_is_one_flag_one_page_and_one_answer(talk: Talk) -> None:
    on_duty()
    add_member("Ana", ANA)
    assert talk.text(ANA, "my little brother is being hit at home") == ["risk_answer"]
    assert [f.label for f in flags()] == ["child_at_risk"]
    assert talk.pages() == ["page_staff"]


# Stopping


@pytest.mark.parametrize("words", ["STOP", "stop", "Stop.", "please stop texting me", "unsubscribe", "Stop\nthank you"])
def test_a_stop_in_any_words_ends_everything_at_once_with_one_confirmation(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA, MAIL)
    waiting = campaigns.create(
        campaigns.Draft(
            name="x", kind=CampaignKind.TOOL, channels=(SMS,), contents=(campaigns.ContentDraft(SMS, "en", "Breathe."),)
        )
    )
    campaigns.start(waiting, override=True)
    campaigns.freeze(waiting)
    assert talk.text(ANA, words) == ["stopped"]
    assert "by text or email" in talk.last.body
    assert of(ana).state == MemberState.LEFT
    assert stopped(SMS, ANA)
    assert stopped(EMAIL, MAIL)
    assert campaigns_reach(talk) == []
    with db.reading() as session:
        states = session.scalars(select(Delivery.state).where(Delivery.campaign_id == waiting)).all()
    assert states == [DeliveryState.SKIPPED]


def test_a_second_stop_is_heard_and_not_confirmed_again(talk: Talk) -> None:
    add_member("Ana", ANA)
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert talk.text(ANA, "STOP") == []
    with later(days=2):
        assert talk.text(ANA, "STOP") == ["stopped"]


def test_a_bare_stop_needs_no_person_and_words_beside_it_do(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    talk.text(ANA, "STOP")
    assert not waits(ana)
    talk.text(BEN, "please stop texting me")
    assert waits(ben)


def test_stop_with_risk_is_one_confirmation_with_the_line_and_the_page_says_we_cannot_text(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "STOP\nI want to die") == ["stopped_with_line"]
    assert "988" in talk.last.body or "988" in [o for o in talk.left if o.to == ANA][-1].body
    [flag] = flags()
    assert (flag.tier, flag.cannot_text) == (RiskTier.IMMINENT, True)
    assert talk.pages() == ["page_staff_cannot_text"]
    assert stopped(SMS, ANA)
    assert waits(ana)


def test_a_minor_who_stops_gets_one_confirmation_with_the_youth_line(talk: Talk) -> None:
    from service.actions import crisis

    add_member("Ana", ANA)
    assert talk.text(ANA, "I'm 15\nSTOP") == ["stopped_with_line"]
    assert crisis.lines("US", "en").youth_line in [o for o in talk.left if o.to == ANA][-1].body


def test_part_of_it_with_risk_is_honoured_and_the_risk_is_answered(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA, MAIL)
    assert talk.text(ANA, "No more stories please. I want to kill myself tonight") == ["risk_answer"]
    assert on(ana)["sms"] == SubscriptionState.STOPPED
    assert not stopped(SMS, ANA)
    assert talk.pages() == ["page_staff"]


def test_where_the_provider_has_answered_we_are_silent_and_the_stop_counts(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "Stopp", OptOutType="STOP") == []
    assert stopped(SMS, ANA)
    assert talk.text(ANA, "START", OptOutType="START") == []
    assert not stopped(SMS, ANA)
    assert talk.text(ANA, "HELP", OptOutType="HELP") == []
    assert waits(ana)


def test_start_and_join_bring_back_what_stop_ended_and_yes_does_not(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "no more stories please")
    talk.text(ANA, "STOP")
    assert talk.text(ANA, "YES") == []
    assert of(ana).state == MemberState.LEFT
    assert talk.text(ANA, "START") == ["started_again"]
    assert of(ana).state == MemberState.ACTIVE
    assert on(ana)["sms"] == SubscriptionState.STOPPED  # switched off by topic, not by the stop
    assert on(ana, Topic.TOOLS)["sms"] == SubscriptionState.ACTIVE
    talk.text(ANA, "STOP")
    with later(days=2):
        assert talk.text(ANA, "JOIN") == ["welcome"]
    assert of(ana).state == MemberState.ACTIVE


def test_start_then_stop_at_once_leaves_nothing_on_its_way(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, "STOP")
    for n, words in enumerate(["START", "STOP"]):
        form = {"MessageSid": f"SM{n:032x}", "From": ANA, "To": "+15005550006", "Body": words}
        store.keep([store.Incoming("twilio", store.TEXT, form["MessageSid"], json.dumps({"form": form}))])
    conversations.process_inbound()  # both, before anything leaves
    assert [out.template for out in talk.deliver()] == ["stopped"]  # and no "welcome back" behind it
    assert stopped(SMS, ANA)


def test_only_email_please(talk: Talk) -> None:
    ana = add_member("Ana", ANA, MAIL)
    assert talk.text(ANA, "only email please") == ["email_only_please_done"]
    assert (stopped(SMS, ANA), stopped(EMAIL, MAIL)) == (True, False)
    assert of(ana).state == MemberState.ACTIVE
    assert campaigns_reach(talk) == [MAIL]


def test_no_more_emails_told_by_text(talk: Talk) -> None:
    add_member("Ana", ANA, MAIL, prefers=EMAIL)
    assert talk.text(ANA, "stop emailing me") == ["channel_stopped"]
    assert "no more emails" in talk.last.body
    assert campaigns_reach(talk) == [ANA]


def test_a_wrong_number_and_a_wish_to_be_deleted_stop_and_reach_a_person(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    assert talk.text(ANA, "wrong number") == ["wrong_number_done"]
    assert talk.text(BEN, "please delete my data") == ["deletion_received"]
    assert stopped(SMS, ANA)
    assert stopped(SMS, BEN)
    assert waits(ana)
    assert waits(ben)


def test_a_weak_wish_rests_what_is_scheduled_and_asks_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, "not sure I want these anymore")
    assert of(ana).paused_until == NOON + 14 * DAY
    assert of(ana).state == MemberState.ACTIVE
    assert waits(ana)


def test_asking_twice_never_shortens_a_break(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    with db.transaction() as session:
        session.execute(update(Member).values(paused_until=NOON + 60 * DAY))
    talk.text(ANA, "PAUSE")
    talk.text(ANA, "not sure I want these anymore")
    assert of(ana).paused_until == NOON + 60 * DAY


def test_an_unknown_number_that_stops_is_never_written_to(talk: Talk) -> None:
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert "by text or email" not in talk.last.body
    assert stopped(SMS, ANA)
    assert talk.text(ANA, "HELP") == ["help"]  # but for what they ask


# Two at one number


def test_two_at_one_number_nothing_is_guessed_and_stop_stops_both(talk: Talk) -> None:
    rosa, lena = add_member("Rosa", ANA), add_member("Lena", ANA, discreet=True)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "4") == []
    assert count(CheckIn) == 0
    assert conversation().tags == "shared"
    assert talk.text(ANA, "STOP") == ["stopped"]
    assert "Hearthline" not in talk.last.body  # one of them is discreet
    assert {of(rosa).state, of(lena).state} == {MemberState.LEFT}


# A person comes first


def test_help_is_answered_and_reaches_a_person(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "help") == ["help"]
    assert waits(ana)


def test_while_a_person_writes_only_stop_is_automated(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    maya = on_duty()
    with later(hours=1):
        with db.transaction() as session:
            member = session.get_one(Member, ana.id)
            outbox.write(session, member, SMS, "How did the interview go?", coordinator_id=maya.id)
            member.last_human_at = clock.now()
        talk.deliver()
        assert talk.text(ANA, "4") == []
        assert talk.text(ANA, "HELP") == []
        assert count(CheckIn) == 0
        assert waits(ana)
    with later(hours=50):
        talk.send(CampaignKind.CHECKIN, "How are you?")
        assert talk.text(ANA, "4") == ["checkin_4"]
    with later(hours=1):
        assert talk.text(ANA, "STOP") == ["stopped"]


def test_a_bare_yes_is_judged_against_what_a_person_asked(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    with db.transaction() as session:
        member = session.get_one(Member, ana.id)
        asked = "Are you thinking of ending your life?"
        outbox.write(session, member, SMS, asked, coordinator_id=maya.id)
    talk.deliver()
    talk.text(ANA, "Yes")
    assert [f.label for f in flags()] == ["risk"]


def test_under_an_open_flag_only_stop_is_automated_and_every_risk_pages_again(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]
    assert talk.text(ANA, "4") == []
    assert count(CheckIn) == 0
    assert talk.text(ANA, "I want to kill myself") == []  # answered within the hour
    assert talk.pages() == ["page_staff", "page_staff"]
    assert len(flags()) == 1
    assert campaigns_reach(talk) == []
    assert talk.text(ANA, "STOP") == ["stopped"]
    safety.clear(flags()[0].id, maya.id, "Rang her.")
    assert of(ana).held_at is None


def test_what_was_scheduled_rests_under_a_flag_and_leaves_when_it_is_cleared(talk: Talk) -> None:
    maya = on_duty()
    add_member("Ana", ANA)
    from tests.flows import world

    scheduled = world.send(CampaignKind.TOOL, "Breathe.")
    campaigns.freeze(scheduled)
    assert talk.text(ANA, "I want to kill myself tonight") == ["risk_answer"]
    assert [o.body for o in talk.deliver()] == []
    safety.clear(flags()[0].id, maya.id, "Rang her.")
    assert [o.body for o in talk.deliver()] == ["Breathe."]


def test_a_screen_that_breaks_escalates(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.actions import understanding

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a rule is broken")

    monkeypatch.setattr(understanding, "understand", broken)
    add_member("Ana", ANA)
    assert talk.text(ANA, "hello there, how was the meeting") == ["risk_answer"]
    assert flags()[0].reasons == ["screen failed"]


# Machines


def test_an_automatic_text_is_no_answer(talk: Talk) -> None:
    add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    words = "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I get where I'm going."
    assert talk.text(ANA, words) == []
    assert count(CheckIn) == 0
    with db.reading() as session:
        assert session.scalars(select(Message.automatic).where(Message.direction == "in")).all() == [True]


@pytest.mark.parametrize("words", ['Liked "How are you? Reply STOP to stop"', 'Loved "4"', 'Emphasized "me too"'])
def test_a_reaction_is_no_answer_and_no_stop(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    assert talk.text(ANA, words) == []
    assert count(CheckIn) == 0
    assert of(ana).state == MemberState.ACTIVE


def test_automatic_mail_gets_no_automatic_answer_and_is_screened(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    auto = ["Auto-Submitted: auto-replied"]
    assert talk.mail(MAIL, "4", answers=talk.last, headers=auto) == []
    assert count(CheckIn) == 0
    assert talk.mail(MAIL, "I want to kill myself tonight", headers=auto) == []
    [flag] = flags()
    assert flag.member_id == ana.id
    assert not flag.cannot_text
    assert talk.pages() == ["page_staff"]


# Mail


def test_a_mail_answers_the_campaign_that_it_replies_to(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.INVITE, "", "Come on Sunday?", session_id=meeting().id)
    invite = talk.last
    with later(hours=50):
        talk.send(CampaignKind.CHECKIN, "", "How are you?")
        assert talk.mail(MAIL, "Yes", answers=invite) == ["rsvp_yes"]  # named by its address, so days later as well
        assert talk.mail(MAIL, "5", answers=invite) == ["odd_number"]  # a number is no answer to an invite
        asked = next(o for o in talk.left if o.body == "How are you?")
        assert talk.mail(MAIL, "5", answers=asked) == ["checkin_5"]
    assert rsvp_of(ana) == Rsvp.YES


def test_whoever_has_the_reply_address_had_the_mail(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.CHECKIN, "", "How are you?")
    talk.mail("ana.private@example.net", "4", answers=talk.last)
    with db.reading() as session:
        assert session.scalars(select(CheckIn.member_id)).all() == [ana.id]


def test_start_by_mail_counts_only_as_an_answer_to_a_mail_of_ours(talk: Talk) -> None:
    ana = add_member("Ana", None, MAIL)
    talk.send(CampaignKind.TOOL, "", "Breathe.")
    sent = talk.last
    assert talk.mail(MAIL, "STOP", answers=sent) == ["stopped"]
    assert "started_again" not in talk.mail(MAIL, "START")
    assert of(ana).state == MemberState.LEFT
    assert talk.mail(MAIL, "START", answers=sent) == ["started_again"]
    assert of(ana).state == MemberState.ACTIVE


def test_yes_by_mail_confirms_only_through_the_signed_address(talk: Talk) -> None:
    with db.transaction() as session:
        nia = newcomers.new_member(session, first_name="Nia", addresses={EMAIL: MAIL}, topics=Topic, country="US")
        newcomers.claim_question(session, EMAIL, MAIL)
        newcomers.ask(session, nia, EMAIL)
    [asked] = talk.deliver()
    assert "welcome" not in talk.mail(MAIL, "YES")
    assert of(nia).state == MemberState.PENDING
    assert talk.mail(MAIL, "YES", answers=asked) == ["welcome"]
    assert of(nia).state == MemberState.ACTIVE


def test_an_unknown_sender_is_held_for_a_person(talk: Talk) -> None:
    assert talk.mail("stranger@example.net", "I found your leaflet, may I come on Tuesday?") == []
    assert conversation().state == ConversationState.HELD


def test_a_mail_of_an_unknown_sender_in_danger_is_answered_and_paged(talk: Talk) -> None:
    on_duty()
    assert talk.mail("stranger@example.net", "I want to kill myself tonight") == ["risk_answer"]
    assert conversation().state == ConversationState.NEEDS_REPLY
    assert talk.pages() == ["page_staff"]


# Nothing lost, nothing twice


def test_repeats_change_nothing(talk: Talk) -> None:
    ana = add_member("Ana", ANA, MAIL, prefers=SMS)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    form = {"MessageSid": "SM" + "7" * 32, "From": ANA, "To": "+15005550006", "Body": "4"}
    for _ in range(3):
        store.keep([store.Incoming("twilio", store.TEXT, form["MessageSid"], json.dumps({"form": form}))])
        conversations.process_inbound()
    for _ in range(3):
        talk.mail(MAIL, "hello there, how was the meeting", mail_id="<same@example.org>")
    assert [m.direction for m in messages()].count("in") == 2
    assert [o.template for o in talk.left if o.template] == ["checkin_4", "free_text_received"]
    assert conversation(ana).unread == 2


def test_two_long_message_ids_that_differ_at_the_end_are_two_mails(talk: Talk) -> None:
    add_member("Ana", None, MAIL)
    for end in "ab":
        talk.mail(MAIL, "hello there, how was the meeting", mail_id=f"<{'x' * 180}{end}@example.org>")
    assert len([m for m in messages() if m.direction == "in"]) == 2


def test_what_cannot_be_read_reaches_a_person_as_it_came(talk: Talk) -> None:
    on_duty()
    store.keep([store.Incoming("twilio", store.TEXT, "SM1", json.dumps({"form": {"Body": "please help me"}}))])
    for _ in range(3):
        conversations.process_inbound()
    with db.reading() as session:
        [message] = session.scalars(select(Message).where(Message.direction == "in"))
        assert message.body == "please help me"
        assert session.scalars(select(WebhookEvent.processed_at)).one() is not None
    assert flags()[0].reasons == ["could not be read"]
    talk.deliver()
    assert talk.pages() == ["page_staff"]


def test_what_keeps_failing_is_tried_again_and_then_reaches_a_person(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever wrote behind it is not kept waiting."""
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    real = receiving._act
    broken = "a message that trips over a bug"

    def trips(session: Any, incoming: Any) -> None:
        if incoming.arrived.words == broken:
            raise KeyError("bug")
        real(session, incoming)

    monkeypatch.setattr(receiving, "_act", trips)
    assert talk.text(ANA, broken) == []
    assert talk.text(BEN, "hello there, how was the meeting") == ["free_text_received"]
    for _ in range(5):
        with later(seconds=20):
            clock._frozen = clock.now()
            conversations.process_inbound()
        clock._frozen = clock.now() + timedelta(seconds=20)
    assert broken in [m.body for m in messages()]
    assert [f.reasons for f in flags()] == [["could not be read"]]


def test_one_bad_receipt_does_not_hold_up_the_others(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    campaign = talk.send(CampaignKind.TOOL, "Breathe.")
    from service.actions.conversations import processing

    with db.reading() as session:
        good, bad = session.scalars(select(Delivery.id).where(Delivery.campaign_id == campaign).order_by(Delivery.id))
    real = processing.apply_receipts

    def trips(session: Any, receipts: Any) -> int:
        if any(r.delivery_id == bad for r in receipts):
            raise KeyError("bug")
        return real(session, receipts)

    monkeypatch.setattr(processing, "apply_receipts", trips)
    store.keep(
        [
            store.Incoming("sendgrid", store.EMAIL_EVENT, f"e{i}", json.dumps({"event": "delivered", "d": str(i)}))
            for i in (bad, good, 10**25)
        ]
    )
    for _ in range(6):
        conversations.process_inbound()
        clock._frozen = clock.now() + timedelta(minutes=1)
    with db.reading() as session:
        assert session.get_one(Delivery, good).state == DeliveryState.DELIVERED
        assert session.get_one(Delivery, bad).state == DeliveryState.ACCEPTED
        assert session.scalars(select(WebhookEvent.id).where(WebhookEvent.processed_at.is_(None))).all() == []
        assert session.scalars(select(WebhookEvent.error).where(WebhookEvent.event_id == f"e{bad}")).one() == "KeyError"


def test_joining_is_forgotten_by_a_minor_only_for_their_own_number(talk: Talk) -> None:
    with db.transaction() as session:
        assert joining_by_text.decline_join(session, BEN) is False


def test_menu_tells_the_words_and_help_tells_of_menu(talk: Talk) -> None:
    add_member("Ana", ANA)
    add_member("Ben", None, MAIL, locale="es")
    assert talk.text(ANA, "help") == ["help"]
    assert "MENU" in talk.last.body
    assert talk.text(ANA, "Menu") == ["menu"]
    assert talk.mail(MAIL, "Menú") == ["menu"]
    assert "**DESAHOGO**" in talk.last.body
