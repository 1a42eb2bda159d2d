"""The demo's community in a real database: it holds together, can be read, harms nobody, and comes once."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock, config, db, seed
from service.actions import audience, campaigns, delivery, gatherings, housekeeping, safety, seeding, staff, tools
from service.actions.checkins import rhythms, stories
from service.actions.conversations import folders, questions, threads
from service.actions.conversations.folders import Folder
from service.actions.resonance import prompts
from service.actions.seeding import crowd
from service.actions.tools import series_desk
from service.config import Settings
from service.errors import Conflict, Invalid
from service.models.campaigns import Campaign, CampaignKind, CampaignState, Delivery, DeliveryState
from service.models.checkins import RhythmKind
from service.models.content import Resonance, Story, StoryRead
from service.models.conversations import CheckIn, Conversation, Direction, Flag, Message, Note
from service.models.gatherings import Circle, GroupSession, Invitation
from service.models.members import (
    Address,
    ChannelName,
    ConfirmationAsked,
    ConsentEvent,
    ConsentKind,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
    Topic,
)
from service.models.staff import Coordinator, DutyShift, Role
from service.seed import files
from tests.conftest import FAKES
from tests.conftest import _execute as execute
from tests.conftest import _named as named
from tests.seed_files import CAMPAIGNS, CIRCLES, MEMBERS, STAFF, STORIES, TOOLS, rows

PASSWORD = "calm-word-here"
BOTH = (ChannelName.SMS, ChannelName.EMAIL)
Configure = Callable[..., Settings]


def plant(url: str) -> Settings:
    """Seed the database at `url`; its settings."""
    settings = Settings(_env_file=None, database_url=url, demo=True, daily_cap=0, weekly_cap=0, **FAKES)
    config.use(settings)
    db.connect()
    assert seed.run(PASSWORD) == ("maren@hearthline.example", PASSWORD)
    db.dispose()
    config.use(None)
    return settings


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One community for all the tests that only look at it."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("planted") / "hearthline.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield plant(f"sqlite:///{path}")
        return
    server = request.getfixturevalue("postgres")
    execute(server, f"CREATE DATABASE planted TEMPLATE {request.getfixturevalue('postgres_template')}")
    yield plant(named(server, "planted"))
    execute(server, "DROP DATABASE planted WITH (FORCE)")


@pytest.fixture
def community(planted: Settings) -> Iterator[None]:
    config.use(planted)
    db.connect()
    yield
    db.dispose()
    config.use(None)


def counted() -> dict[str, int]:
    with db.reading() as session:
        tables = db.Base.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def member(session: Session, name: str) -> Member:
    return session.scalars(select(Member).where(Member.first_name == name)).one()


def test_everything_is_there_and_a_second_start_changes_nothing(community: None) -> None:
    before = counted()
    assert before["members"] == len(MEMBERS)
    assert before["addresses"] == sum(("phone" in m) + ("email" in m) for m in MEMBERS.values())
    assert before["coordinators"] == len(STAFF)
    assert before["circles"] == len(CIRCLES)
    assert before["circle_memberships"] == sum(len(m["circles"]) for m in MEMBERS.values())
    assert before["stories"] == len(STORIES) + 1, "and one that waits at the desk"
    assert before["tools"] == len(TOOLS)
    assert before["campaigns"] == len(CAMPAIGNS)
    assert before["campaign_contents"] == sum(len(c["content"]) for c in CAMPAIGNS.values())
    assert before["flags"] == 2
    assert before["notes"] == sum(len(c.get("note", ())) for c in rows("conversations", "conversation"))
    pending = [m for m in MEMBERS.values() if m.get("state") == MemberState.PENDING]
    vents = len(rows("vents", "vent"))
    assert before["vents"] == vents
    assert before["conversations"] == len(rows("conversations", "conversation")) + len(pending) + vents
    assert before["checkins"] > 150

    assert seed.run(PASSWORD) == ("maren@hearthline.example", PASSWORD)
    assert counted() == before
    with db.reading() as session:
        assert session.scalar(select(func.count()).where(Member.demo.is_(False))) == 0


def test_every_word_of_the_conversations_can_be_read_in_its_order(community: None) -> None:
    now = clock.now()
    with db.reading() as session:
        for row in rows("conversations", "conversation"):
            person = member(session, MEMBERS[row["member"]]["first_name"])
            talk = session.scalars(select(Conversation).where(Conversation.member_id == person.id)).one()
            said = list(session.scalars(select(Message).where(Message.conversation_id == talk.id).order_by(Message.at)))
            assert [m.direction for m in said] == [line["direction"] for line in row["message"]]
            assert talk.state == row["state"]
            assert (talk.waiting_since is not None) == (row["state"] == "needs_reply")
            assert talk.last_in_at == max(m.at for m in said if m.direction == Direction.IN)
            for message, line in zip(said, row["message"], strict=True):
                assert message.at <= now
                assert message.template == line.get("template")
                assert message.automatic == ("template" in line)
                if "body" in line:
                    assert message.body == line["body"]
                else:
                    assert len(message.body) > 20
                    assert "{" not in message.body
                if message.direction == Direction.OUT:
                    sent = session.scalars(select(Delivery).where(Delivery.message_id == message.id)).one()
                    assert sent.state == DeliveryState.DELIVERED
        assert all(note.body for note in session.scalars(select(Note)))
        assert all(address.value for address in session.scalars(select(Address)))


def test_every_subscription_has_its_proof_in_the_ledger(community: None) -> None:
    begins = (ConsentKind.CONFIRMED, ConsentKind.IMPORTED, ConsentKind.STARTED)
    with db.reading() as session:
        agreed, asked, stopped = set(), set(), set()
        for event in session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)):
            about = {(event.member_id, event.channel, Topic(t)) for t in event.topics.split(",") if t}
            if event.kind in begins:
                agreed |= about
            if event.kind in (ConsentKind.REQUESTED, ConsentKind.IMPORTED):
                asked |= about
                assert len(event.wording) > 100, "the exact words that they agreed to"
                assert "{" not in event.wording
            if event.kind == ConsentKind.STOPPED:
                stopped.add((event.member_id, event.channel))
            assert event.at <= clock.now()
        for row in session.scalars(select(Subscription)):
            key = (row.member_id, row.channel, row.topic)
            assert key in asked
            assert (key in agreed) == (row.state != SubscriptionState.PENDING)
            assert ((row.member_id, row.channel) in stopped) == (row.state == SubscriptionState.STOPPED)
        marked = {(s.channel, bytes(s.index_hash)) for s in session.scalars(select(Suppression))}
        questioned = {(c.channel, bytes(c.index_hash)) for c in session.scalars(select(ConfirmationAsked))}
        for address in session.scalars(select(Address)):
            assert address.index_hash == db.blind_index(address.channel, address.value)
            assert (address.verified_at is None) == (address.member.state == MemberState.PENDING)
            assert (address.asked_at is None) or (address.channel, address.index_hash) in questioned
            suppressed = (address.channel, address.index_hash) in marked
            assert suppressed == (address.member.state == MemberState.LEFT)
        victor = member(session, "Victor")
        kinds = select(ConsentEvent.kind).where(ConsentEvent.member_id == victor.id).order_by(ConsentEvent.id)
        assert list(session.scalars(kinds)) == ["requested", "confirmed", "stopped", "suppressed"]


def test_the_audience_of_every_topic_can_be_counted(community: None) -> None:
    with db.reading() as session:
        for topic in Topic:
            found = audience.summary(session, audience.Audience(channels=BOTH, topic=topic))
            assert found.by_channel[ChannelName.SMS] > 20
            assert found.by_channel[ChannelName.EMAIL] > 10
            assert found.left_out["held"] == 1
            assert found.left_out["not_confirmed"] == 2
            assert found.left_out["unreachable"] == 1
            assert found.left_out["paused"] >= 2
        fresh = session.scalars(select(Story).where(Story.title == "Cinco cosas azules")).one()
        unread = audience.Audience(channels=BOTH, topic=Topic.STORIES, languages=("es",), story_id=fresh.id)
        assert audience.summary(session, unread).people >= 8, "a story is left for the visitor to send"


def test_at_the_first_start_nobody_is_paged_and_nothing_leaves(community: None) -> None:
    assert "paged" not in housekeeping.run()
    assert sum(delivery.drain(queue) for queue in ("replies", "texts", "emails")) == 0
    assert campaigns.start_due() == 0
    now = clock.now()
    with db.reading() as session:
        assert safety.unacknowledged(session) == 0
        [flag] = safety.open_flags(session)
        held = session.scalars(select(Member).where(Member.held_at.is_not(None))).one()
        assert (flag.member_id, held.first_name) == (held.id, "Andre")
        cleared = session.scalars(select(Flag).where(Flag.cleared_at.is_not(None))).one()
        assert cleared.outcome
        assert cleared.opened_at < cleared.acknowledged_at < cleared.cleared_at  # type: ignore[operator]
        for hours in range(0, 24 * 14, 5):
            assert safety.on_duty_now(session, now + timedelta(hours=hours)), f"nobody is there in {hours} hours"
        expected = campaigns.expected_replies(session, CampaignKind.CHECKIN, 50)
        assert expected.gap_from is None
        assert session.scalar(select(func.max(DutyShift.ends_at))) > now + timedelta(days=14)  # type: ignore[operator]


def test_the_console_finds_something_on_every_page(community: None) -> None:
    with db.reading() as session:
        maren, dorothy = (
            session.scalars(select(Coordinator).where(Coordinator.email.startswith(name))).one()
            for name in ("maren", "dorothy")
        )
        waiting = folders.folder(session, maren, Folder.NEEDS_REPLY)
        assert waiting[0].name == "Andre", "risk on top"
        assert {line.name for line in waiting} == {"Andre", "Mei", "Rosa", "Imran"}
        assert all(line.last_words for line in waiting)
        assert {line.name for line in folders.folder(session, dorothy, Folder.NEEDS_REPLY)} == {"Mei"}
        assert len(folders.folder(session, maren, Folder.RESOLVED)) > 20
        read = threads.read(session, maren, waiting[0].conversation.id)
        assert [entry.kind for entry in read.entries if entry.kind != "campaign"] == [
            "in",
            "out",
            "out",
            "in",
            "out",
            "in",
        ]
        assert read.flags

        done = [c for c in campaigns.recent(session) if c.state == CampaignState.FINISHED]
        assert campaigns.recent(session)[0].name.endswith("(draft)")
        assert len(done) == 6
        for campaign in done:
            progress = campaigns.progress(session, campaign.id)
            assert progress.total == campaign.audience_size
            assert progress.open == 0
            assert progress.states["delivered"] > 0.85 * progress.total
            assert campaign.started_at < campaign.finished_at  # type: ignore[operator]
        troubles = Counter(session.scalars(select(Delivery.state)))
        assert troubles[DeliveryState.UNDELIVERED] == 2
        assert troubles[DeliveryState.BOUNCED] == 1
        assert troubles[DeliveryState.SKIPPED] >= 3

        for circle in session.scalars(select(Circle)):
            coming = gatherings.next_session(session, circle)
            assert coming is not None
            assert coming.title
            of = select(Invitation.attended).join(GroupSession).where(GroupSession.circle_id == circle.id)
            came = Counter(session.scalars(of.where(GroupSession.ends_at < clock.now())))
            assert came[True] > 30
            assert came[None] == 0
        seats = gatherings.seats_taken
        assert all(seats(session, s) <= (s.seats or 0) for s in session.scalars(select(GroupSession)))
        felt = Counter(session.scalars(select(Resonance.story_id)))
        read_by = Counter(session.scalars(select(StoryRead.story_id)))
        assert len(felt) >= 8
        assert all(count < read_by[story] for story, count in felt.items())
        assert {(line.series.language, line.days, line.resting) for line in series_desk.listed(session)} == {
            ("en", 7, 0), ("es", 3, 0),
        }  # fmt: skip
        cards = tools.current(session, "en")
        standing = tools.standings(session, cards)
        assert sum(one.answers for one in standing.values()) > 15
        assert len({round(one.score, 2) for one in standing.values()}) > 3, "a ranking that one can see"
        assert [tool.title for tool in tools.expiring(session)] == ["Calling someone"], "one is soon to be read again"
        all_rhythms = rhythms.listed(session, maren)
        assert {row.rhythm.kind for row in all_rhythms} == set(RhythmKind)
        soonest = min(row.days[0] for row in all_rhythms)
        assert soonest >= clock.now().date() + timedelta(days=2), "the first minutes are quiet"
        of_stories = next(row for row in all_rhythms if row.rhythm.kind == RhythmKind.STORY)
        due = stories.of_day(session, of_stories.rhythm, of_stories.days[0])
        assert len({one["story_id"] for one in due}) > 2, "each gets the next that they have never had"
        assert {language for one in due for language in one["audience"]["languages"]} == {"en", "es"}
        line, _ = prompts.listed(session)
        assert len(line) >= 3, "something to ask"
        assert {story.felt_shown >= 5 for story in session.scalars(select(Story))} == {True, False}

        lines = Counter(session.scalars(select(CheckIn.member_id)))
        assert sum(count >= 4 for count in lines.values()) > 20, "lines that one can see going up and down"


MOMENTS = [
    datetime(2026, 7, 1, 5, 30, tzinfo=UTC),  # past midnight in New York, not yet in Chicago
    datetime(2026, 11, 24, 23, 59, tzinfo=UTC),  # a minute before a session
    datetime(2026, 11, 25, 0, 30, tzinfo=UTC),  # and in the middle of it
    datetime(2026, 3, 9, 9, 0, tzinfo=UTC),  # the day after clocks changed in America, and not yet in Europe
    datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_whenever_it_starts_the_past_is_past_and_answers_follow_questions(
    database: db.Database, configure: Configure, moment: datetime
) -> None:
    configure(demo=True)
    with clock.frozen_at(moment):
        seed.run(PASSWORD)
    with db.reading() as session:
        answers = 0
        for row in rows("conversations", "conversation"):
            person = member(session, MEMBERS[row["member"]]["first_name"])
            said = session.scalars(select(Message).where(Message.member_id == person.id).order_by(Message.at))
            for message, line in zip(said, row["message"], strict=True):
                assert message.at <= moment
                if "answers" in line:
                    answered = session.get_one(Delivery, message.answers_delivery_id)
                    assert answered.sending_at is not None, f"{row['member']} answers what never reached them"
                    assert answered.sending_at < message.at, f"{row['member']} answers {line['answers']} too soon"
                    answers += 1
        assert answers >= 15
        moments = [Delivery.sending_at, Delivery.updated_at, CheckIn.at, Resonance.at, Address.verified_at,
                   Member.last_heard_at, Member.joined_at, Invitation.answered_at, Flag.opened_at, Note.at]  # fmt: skip
        for column in moments:
            latest = session.scalar(select(func.max(column)))
            assert latest is not None
            assert latest <= moment, column
        for campaign in session.scalars(select(Campaign).where(Campaign.session_id.is_not(None))):
            meeting = session.get_one(GroupSession, campaign.session_id)
            assert campaign.finished_at < moment < meeting.starts_at  # type: ignore[operator]
        coming = Counter(session.scalars(select(GroupSession.circle_id).where(GroupSession.starts_at > moment)))
        assert all(2 <= count <= 3 for count in coming.values())
        assert len(coming) == len(CIRCLES)


def test_a_yes_from_somebody_who_was_asked_yesterday_would_count(community: None) -> None:
    with db.reading() as session:
        joy, pablo = member(session, "Joy"), member(session, "Pablo")
        assert questions.confirm_open(session, joy, ChannelName.SMS)
        assert questions.confirm_open(session, pablo, ChannelName.EMAIL)
        question = session.scalars(select(Message).where(Message.member_id == joy.id)).one()
        assert "YES" in question.body


def test_the_made_up_people_stay_away_from_real_ones(database: db.Database, configure: Configure) -> None:
    with pytest.raises(Conflict, match="demo"):
        seed.run(PASSWORD)
    configure(demo=True, twilio_api_url="https://api.twilio.com")
    for invite in (lambda: seed.run(PASSWORD), lambda: seed.many(5)):
        with pytest.raises(Conflict, match="real providers"):
            invite()
    configure(twilio_api_url="http://127.0.0.1:9")
    with db.transaction() as session:
        session.add(Member(id=db.uuid7(), first_name="Somebody", created_at=clock.now()))
    for invite in (lambda: seed.run(PASSWORD), lambda: seed.many(5)):
        with pytest.raises(Conflict, match="not the demo's"):
            invite()
    assert counted()["members"] == 1
    assert counted()["coordinators"] == 0


def test_a_start_that_breaks_off_leaves_nothing_behind(database: db.Database, configure: Configure) -> None:
    configure(demo=True)
    found = files.read(clock.now())
    before = counted()
    with pytest.raises(KeyError):
        seeding.plant(replace(found, conversations=[*found.conversations, {"member": "nobody"}]), PASSWORD)
    assert counted() == before
    assert seeding.plant(found, PASSWORD)


def test_the_demo_goes_on_with_a_password_of_ones_own_and_a_visitor_among_the_members(
    database: db.Database, configure: Configure
) -> None:
    configure(demo=True)
    seed.run(PASSWORD)
    admin = staff.authenticate("maren@hearthline.example", PASSWORD)
    assert admin.role == Role.ADMIN
    assert staff.authenticate("dorothy@hearthline.example", PASSWORD).role == Role.CIRCLE_COORDINATOR
    staff.set_password(staff.password_link(admin).rsplit("/", 1)[1], "four quiet winter evenings")
    with db.transaction() as session:
        session.add(Member(id=db.uuid7(), first_name="Visitor", created_at=clock.now()))

    assert seed.run(PASSWORD) == ("maren@hearthline.example", "the one that you have set")
    with pytest.raises(Invalid):
        staff.authenticate("maren@hearthline.example", PASSWORD)
    many_more_are_made_up()


def many_more_are_made_up() -> None:
    assert seed.many(400) == 400
    assert seed.many(400) == 0
    assert seed.many(500) == 100
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Member)) == len(MEMBERS) + 1 + 500
        shared = [n for n in Counter(session.scalars(select(Address.index_hash))).values() if n > 1]
        assert shared == [2], "Rosa and Daniela share a phone, and nobody else"
        for topic in Topic:
            found = audience.summary(session, audience.Audience(channels=BOTH, topic=topic))
            assert 500 < found.people < 600, "each of them has one copy"
        proven = select(ConsentEvent.channel).where(ConsentEvent.kind == ConsentKind.IMPORTED)
        by_channel = Counter(session.scalars(proven.where(ConsentEvent.source == crowd.SOURCE)))
        assert by_channel[ChannelName.SMS] == pytest.approx(500 * 0.65, abs=4)
        assert by_channel[ChannelName.EMAIL] == pytest.approx(500 * 0.55, abs=4)
        one = session.scalars(select(Member).order_by(Member.id.desc()).limit(1)).one()
        assert {s.state for s in one.subscriptions} == {SubscriptionState.ACTIVE}
        assert len(one.subscriptions) == len(one.addresses) * len(Topic)
        assert db.blind_index(one.addresses[0].channel, one.addresses[0].value) == one.addresses[0].index_hash


def test_only_texts_or_only_mail(database: db.Database, configure: Configure) -> None:
    assert seed.many(50, {"sms": 1}) == 50
    assert seed.many(80, {"email": 1}) == 30
    with db.reading() as session:
        assert Counter(session.scalars(select(Address.channel))) == {"sms": 50, "email": 30}


def test_no_two_of_a_million_have_the_same_number() -> None:
    numbers = {crowd.phone(n) for n in [*range(40_000), *range(990_000, 1_000_000)]}
    assert len(numbers) == 50_000
    assert all(crowd.phone(n)[5:10] == "55501" for n in range(0, 36_000, 97)), "kept free for fiction"
    assert not {m["phone"] for m in [*MEMBERS.values(), *STAFF.values()] if "phone" in m} & numbers
    with pytest.raises(ValueError, match="at most"):
        crowd.phone(10**7)
