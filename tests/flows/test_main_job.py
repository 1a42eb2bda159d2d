"""The main job: a story, a check-in and an invite go out; members answer; a person sees it."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from service import clock, db
from service.actions import campaigns, consent, safety
from service.actions.conversations import threads
from service.config import Settings
from service.models.campaigns import CampaignKind, CampaignState, Delivery, DeliveryState
from service.models.content import Resonance, Story, StoryState
from service.models.conversations import CheckIn, Conversation, ConversationState, Flag
from service.models.gatherings import GroupSession, Invitation, Rsvp
from service.models.members import ChannelName, Member, MemberState
from service.models.staff import Coordinator, Role
from tests.flows.world import EMAIL, SMS, World, add_circle, add_member, send

ANA, BEN = "+12025550123", "+12025550145"


def add_story(**more: object) -> Story:
    now = clock.now()
    with db.transaction() as session:
        values = {"me_too_allowed": True} | more
        story = Story(
            id=db.uuid7(), title="Small mornings", body_email="I used to feel like that.",
            body_sms="I used to feel so.", state=StoryState.PUBLISHED, created_at=now, updated_at=now, **values,
        )  # fmt: skip
        session.add(story)
    return story


def add_coordinator(role: Role = Role.ADMIN) -> Coordinator:
    with db.transaction() as session:
        coordinator = Coordinator(
            id=db.uuid7(), email="maya@hearthline.example", name="Maya Ortiz", role=role, phone="+12025550199",
            created_at=clock.now(),
        )  # fmt: skip
        session.add(coordinator)
    return coordinator


def states(campaign_id: object) -> dict[str, int]:
    with db.reading() as session:
        return campaigns.progress(session, campaign_id).states  # type: ignore[arg-type]


def test_a_story_reaches_phone_and_mailbox_and_me_too_is_heard(world: World) -> None:
    add_member("Ana", ANA)
    add_member("Ben", email="ben@example.org")
    story = add_story()
    campaign = send(CampaignKind.STORY, "{{ story_body }}", "Hi {{ first_name }}, {{ story_body }}", story_id=story.id)
    world.work()

    assert world.phone(ANA) == [
        "I used to feel so.\nFelt this too? Reply ME TOO.\nHearthline. Msg & data rates may apply. "
        "Reply STOP to stop, HELP for help."
    ]
    [mail] = world.mailbox("ben@example.org")
    assert "Hi Ben, I used to feel like that." in mail["text"]
    assert "12 Lantern Lane" in mail["text"]
    assert "12 Lantern Lane" in mail["html"]
    assert dict(mail["headers"])["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert states(campaign) == {"delivered": 2}

    world.text(ANA, "me too")
    world.answer_mail("ben@example.org", "Me too. It was the same for me after the move.")
    assert world.phone(ANA)[1] == "You said ME TOO. Thank you, it's noted. Wrong? Reply OOPS."
    with db.reading() as session:
        assert len(list(session.scalars(select(Resonance)))) == 2
        needs = session.scalars(select(Conversation).where(Conversation.state == ConversationState.NEEDS_REPLY))
        [waiting] = list(needs)  # Ben wrote more than the answer: a person reads it
        thread = threads.read(session, add_coordinator(), waiting.id)
        assert [e.kind for e in thread.entries] == ["campaign", "in", "out"]
        assert thread.entries[1].body == "Me too. It was the same for me after the move."
        assert thread.entries[1].answers == "story"


def test_a_story_never_goes_to_the_same_member_twice(world: World) -> None:
    add_member("Ana", ANA)
    story = add_story()
    send(CampaignKind.STORY, "{{ story_body }}", story_id=story.id)
    world.work()
    again = send(CampaignKind.STORY, "Once more: {{ story_body }}", story_id=story.id)
    world.work()
    assert len(world.phone(ANA)) == 1
    assert states(again) == {}


def test_a_check_in_is_answered_kept_and_undone(world: World) -> None:
    member = add_member("Ana", ANA)
    send(CampaignKind.CHECKIN, "How are you today?")
    world.work()
    assert "1 very hard" in world.phone(ANA)[0]
    world.text(ANA, "4")
    with db.reading() as session:
        assert session.scalars(select(CheckIn.score)).all() == [4]
    assert "4" in world.phone(ANA)[1]
    world.text(ANA, "OOPS")
    assert "your 4" in world.phone(ANA)[2]
    world.text(ANA, "2, it has been a long week without her")
    with db.reading() as session:
        assert session.scalars(select(CheckIn.score)).all() == [2]
        conversation = session.scalars(select(Conversation).where(Conversation.member_id == member.id)).one()
        assert conversation.state == ConversationState.NEEDS_REPLY


def test_an_invite_is_answered_by_text(world: World) -> None:
    circle = add_circle()
    member = add_member("Ana", ANA, circle=circle)
    with db.reading() as session:
        meeting = session.scalars(select(GroupSession)).one()
    send(
        CampaignKind.INVITE, "{{ circle_name }} meets {{ session_day }} at {{ session_time }}.",
        circle_id=circle.id, session_id=meeting.id,
    )  # fmt: skip
    world.work()
    assert world.phone(ANA)[0].startswith("Tuesday Circle meets ")
    assert "Reply YES, NO or MAYBE." in world.phone(ANA)[0]
    world.text(ANA, "yes!")
    assert world.phone(ANA)[1].startswith("You're down for ")
    world.text(ANA, "no")
    with db.reading() as session:
        invitation = session.scalars(select(Invitation).where(Invitation.member_id == member.id)).one()
        assert invitation.rsvp == Rsvp.NO
    world.text(ANA, "OOPS")
    with db.reading() as session:
        assert session.scalars(select(Invitation)).one().rsvp == Rsvp.YES


def test_stop_is_honoured_at_once_and_the_next_campaign_leaves_them_out(world: World) -> None:
    member = add_member("Ana", ANA, "ana@example.org")
    add_member("Ben", BEN)
    world.text(ANA, "STOP")
    [confirmation] = world.phone(ANA)
    assert "START" in confirmation
    send(CampaignKind.CHECKIN, "How are you today?", "How are you?")
    world.work()
    assert world.phone(ANA) == [confirmation]
    assert world.mailbox("ana@example.org") == []
    assert len(world.phone(BEN)) == 1
    with db.reading() as session:
        assert session.get_one(Member, member.id).state == MemberState.LEFT
        assert consent.suppressed(session, ChannelName.SMS, ANA)
    world.text(ANA, "START")
    assert len(world.phone(ANA)) == 2
    send(CampaignKind.STORY, "A story.")
    world.work()
    assert world.phone(ANA)[2].startswith("A story.")


def test_a_stop_after_the_freeze_still_holds(world: World) -> None:
    member = add_member("Ana", ANA)
    campaign = send(CampaignKind.STORY, "A story.")
    campaigns.start_due()
    with db.transaction() as session:
        consent.stop(session, session.get_one(Member, member.id), source="told by phone")
    world.work()
    assert world.phone(ANA) == []
    with db.reading() as session:
        progress = campaigns.progress(session, campaign)
    assert progress.skipped == {"suppressed": 1} or progress.skipped == {"left": 1}


def test_risk_is_answered_once_paged_and_holds_what_was_scheduled(world: World) -> None:
    coordinator = add_coordinator()
    member = add_member("Ana", ANA)
    campaign = send(CampaignKind.CHECKIN, "How are you today?")
    campaigns.start_due()
    world.text(ANA, "I want to kill myself tonight")
    answer = world.phone(ANA)
    assert len(answer) == 1
    assert answer[0].startswith("Thank you for telling us, Ana.")
    assert "988" in answer[0]
    [page] = world.phone("+12025550199")
    assert "kill" not in page
    assert "/page/" in page
    assert states(campaign) == {"queued": 1}
    world.text(ANA, "are you there")
    assert len(world.phone(ANA)) == 1  # a person comes first: nothing is automated while the flag is open
    with db.reading() as session:
        [flag] = session.scalars(select(Flag))
    safety.acknowledge(flag.id, coordinator.id)
    safety.clear(flag.id, coordinator.id, "Rang her; her sister is with her.")
    world.work()
    assert len(world.phone(ANA)) == 2
    with db.reading() as session:
        assert session.get_one(Member, member.id).held_at is None


def test_two_members_who_share_a_phone_both_stop_and_nothing_is_guessed(world: World) -> None:
    add_member("Rosa", ANA)
    add_member("Lena", ANA)
    send(CampaignKind.CHECKIN, "How are you today?")
    world.work()
    assert len(world.phone(ANA)) == 1  # one copy for one address
    world.text(ANA, "4")
    with db.reading() as session:
        assert session.scalars(select(CheckIn)).all() == []
        held = session.scalars(select(Conversation).where(Conversation.member_id.is_(None))).one()
        assert held.tags == "shared"
    world.text(ANA, "stop")
    with db.reading() as session:
        assert {m.state for m in session.scalars(select(Member))} == {MemberState.LEFT}


def test_one_copy_per_person_on_the_channel_they_prefer(world: World) -> None:
    add_member("Ana", ANA, "ana@example.org", prefers=EMAIL)
    add_member("Ben", BEN, "ben@example.org", prefers=SMS)
    add_member("Cleo", "+12025550167", "cleo@example.org", both_channels=True)
    send(CampaignKind.STORY, "A story.", "A story.")
    world.work()
    assert world.phone(ANA) == []
    assert len(world.mailbox("ana@example.org")) == 1
    assert len(world.phone(BEN)) == 1
    assert world.mailbox("ben@example.org") == []
    assert len(world.phone("+12025550167")) == len(world.mailbox("cleo@example.org")) == 1


def test_a_campaign_can_be_paused_resumed_and_cancelled(world: World) -> None:
    add_member("Ana", ANA)
    add_member("Ben", BEN)
    campaign = send(CampaignKind.STORY, "A story.")
    campaigns.start_due()
    campaigns.pause(campaign)
    world.work()
    assert world.phone(ANA) == []
    campaigns.resume(campaign)
    world.work()
    assert len(world.phone(ANA)) == 1
    second = send(CampaignKind.TOOL, "Breathe.")
    campaigns.start_due()
    campaigns.cancel(second)
    world.work()
    assert len(world.phone(BEN)) == 1
    with db.reading() as session:
        assert campaigns.get(session, campaign).state == CampaignState.FINISHED
        assert campaigns.progress(session, second).skipped == {"cancelled": 2}


def test_a_text_that_was_accepted_and_never_answered_is_found_and_not_sent_again(
    world: World, configure: Callable[..., Settings]
) -> None:
    from service.actions import delivery

    configure(send_timeout=2)
    add_member("Ana", ANA)
    world.standin.provoke("unanswered", "sms", count=1)
    campaign = send(CampaignKind.STORY, "A story.")
    world.work()
    with db.transaction() as session:
        row = session.scalars(select(Delivery).where(Delivery.campaign_id == campaign)).one()
        assert row.state in (DeliveryState.UNKNOWN, DeliveryState.SENT, DeliveryState.DELIVERED)
        if row.state == DeliveryState.UNKNOWN and row.sending_at:
            row.sending_at -= timedelta(minutes=5)
    delivery.sweep()
    world.work()
    assert len(world.phone(ANA)) == 1
    assert set(states(campaign)) <= {"accepted", "sent", "delivered"}
