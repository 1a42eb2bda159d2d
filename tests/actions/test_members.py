"""Coming in teaches a stranger nothing and is asked once; machines are refused; going leaves nothing but the proof."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select

from service import clock, config, db, links
from service.actions import consent, contacts, held, join_limits, member_links, members, preferences
from service.actions.joining_by_text import TextJoin
from service.errors import Conflict, Invalid, LinkExpired, TooMany
from service.models.content import Story, StoryState
from service.models.conversations import Conversation, Direction, Message, WebhookEvent
from service.models.gatherings import Circle, CircleMembership
from service.models.members import ConsentKind, Member, MemberState, SubscriptionState, Topic
from tests.actions.joining import EMAIL, MAIL, PHONE, SMS, asks_to_join, found, joined, ledger, on, sent

NOON = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)


def everything(session: Any) -> list[tuple[Any, ...]]:
    """All that a stranger could have changed about members."""
    return [
        (m.id, m.first_name, m.state, m.discreet, m.time_zone, m.locale, [(a.value, a.asked_at) for a in m.addresses])
        for m in session.scalars(select(Member).order_by(Member.id))
    ]


def test_a_known_address_and_a_new_one_look_the_same_from_outside(database: db.Database) -> None:
    new = asks_to_join()
    with db.reading() as session:
        before, messages = everything(session), sent(session)
    assert messages == ["confirm", "confirm"]
    known = asks_to_join(first_name="Mallory", discreet=True, topics=(Topic.TOOLS,), time_zone="Asia/Tokyo")
    assert known == new
    with db.reading() as session:
        assert everything(session) == before  # nothing overwritten
        assert sent(session) == messages  # and nobody asked twice


def test_a_stranger_cannot_add_their_own_address_to_a_member(database: db.Database) -> None:
    member = joined(email="")
    asks_to_join(email="mallory@example.org", first_name="Mallory")
    with db.reading() as session:
        assert [a.value for a in found(session, SMS, PHONE).addresses] == [PHONE]
        assert found(session, MAIL, "mallory@example.org").id != member.id


def test_one_question_ever_even_after_erasure(database: db.Database) -> None:
    asks_to_join()
    with db.reading() as session:
        first = found(session, SMS, PHONE).id
    members.erase(first, "cli")
    asks_to_join()
    with db.reading() as session:
        assert sent(session) == []  # erased with the member, and not asked again
        assert found(session, SMS, PHONE).id != first
        assert [a.asked_at for a in found(session, SMS, PHONE).addresses] == [None, None]


def test_what_is_missing_is_named_beside_its_field(database: db.Database) -> None:
    with pytest.raises(members.NotValid) as problem:
        asks_to_join("12", "nobody", first_name=" ", adult=False, agreed=False, topics=(), language="fr")
    fields = [e.field for e in problem.value.errors]
    assert fields == ["first_name", "phone", "email", "topics", "language", "adult"]
    with pytest.raises(members.NotValid) as problem:
        asks_to_join("", "")
    assert [e.field for e in problem.value.errors] == ["phone"]
    with pytest.raises(members.NotValid, match="tick"):
        asks_to_join(agreed=False)
    with db.reading() as session:
        assert everything(session) == []


def test_the_words_of_another_country_are_shown_again(database: db.Database) -> None:
    with pytest.raises(members.NotValid, match="different for this country"):
        asks_to_join("+447700900123")  # a British number with the American words
    asks_to_join("+447700900123", wordings=("2026-11/sms.GB.en", "2026-11/email.any.en"))
    with db.reading() as session:
        member = found(session, SMS, "+447700900123")
        wording = ledger(session, member)[0].wording
        assert (member.country, member.locale, member.time_zone) == ("GB", "en-GB", "Europe/London")
    assert "Msg & data" not in wording
    assert "withdraw my consent" in wording


def test_spanish_words_count_for_a_page_in_spanish(database: db.Database) -> None:
    asks_to_join("+525512345678", "", language="es", wordings=("2026-11/sms.MX.es",))
    with db.reading() as session:
        member = found(session, SMS, "+525512345678")
        assert (member.locale, member.language) == ("es-MX", "es")
        assert "BAJA" in ledger(session, member)[0].wording


@pytest.mark.parametrize(
    ("typed", "country", "why"),
    [
        ("+4915112345678", "US", "cannot text numbers of that country"),
        ("+18005550123", "US", "free-phone"),
        ("+442079460123", "GB", "landline"),
        ("555", "US", "country code"),
        ("call me", "US", "country code"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_numbers_that_cannot_be_texted(database: db.Database, typed: str, country: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as problem:
        contacts.phone(typed, country)
    assert problem.value.field == "phone"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_one_spelling_of_every_address(database: db.Database) -> None:
    assert contacts.phone("(202) 555-0123", "US") == contacts.phone("+1 202 555 0123", "GB") == PHONE
    assert contacts.email(" Ana@Example.ORG ") == EMAIL
    assert contacts.email("jose\u0301@exámple.org") == "josé@xn--exmple-qta.org"
    assert contacts.normal(SMS, "24365") == "24365"  # a short code stays what it is
    assert contacts.mask(SMS, PHONE) == "+1 ••• ••• 0123"
    assert contacts.mask(MAIL, EMAIL) == "a•••@example.org"
    assert contacts.country_of("+447700900123") == "GB"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("redis_is_there", [True, False])
def test_pumping_is_refused(
    database: db.Database, configure: Any, redis_is_there: bool, request: pytest.FixtureRequest
) -> None:
    if redis_is_there:
        request.getfixturevalue("valkey")
    join_limits._limiters.cache_clear()

    def accepted(tries: list[dict[str, str]]) -> int:
        """How many of these are let through before one is refused."""
        for done, one in enumerate(tries):
            try:
                asks_to_join(**one)
            except TooMany:
                return done
        return len(tries)

    assert accepted([{"phone": "+12065550123", "ip": f"198.51.100.{n}"} for n in range(40)]) == 3  # one number
    assert accepted([{"phone": f"+1202555{n}", "email": "", "ip": f"10.0.0.{n}"} for n in range(1000, 1040)]) == 30
    assert accepted([{"phone": "", "email": f"p{n}@example.org", "ip": "192.0.2.1"} for n in range(40)]) == 20


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_limits_show_no_address_in_redis(database: db.Database, valkey: Redis) -> None:
    asks_to_join()
    keys = b" ".join(valkey.keys("*")).decode()
    assert "LIMITS" in keys
    assert PHONE not in keys
    assert EMAIL not in keys


def test_a_machine_that_fills_every_field_joins_nothing(database: db.Database) -> None:
    assert asks_to_join(trap="https://spam.example").channels == (SMS, MAIL)
    with db.reading() as session:
        assert everything(session) == []


def test_the_link_in_the_mail(database: db.Database) -> None:
    with clock.frozen_at(NOON):
        asks_to_join()
    with db.reading() as session:
        address = found(session, MAIL, EMAIL).address(MAIL)
        assert address is not None
    token = member_links.confirm_url(address.id).rsplit("/", 1)[1]
    assert not members.confirmation(token).done
    with clock.frozen_at(NOON + timedelta(hours=73)), pytest.raises(LinkExpired):
        members.confirm_by_link(token, "203.0.113.7")
    with clock.frozen_at(NOON + timedelta(hours=1)):
        assert members.confirm_by_link(token, "203.0.113.7").done
        assert members.confirm_by_link(token, "203.0.113.7").done
    with db.reading() as session:
        assert sent(session) == ["confirm", "confirm", "welcome"]
        assert ledger(session, found(session, MAIL, EMAIL))[-1].ip == "203.0.113.7"


def test_fast_links_are_the_links_that_we_read(database: db.Database) -> None:
    member, other = db.uuid7(), db.uuid7()

    def parts(url: str, purpose: str) -> list[Any]:
        return links.read(purpose, url.partition("?")[0].rsplit("/", 1)[1])

    assert parts(member_links.preferences_url(member, SMS), "preferences") == [member.hex, "sms"]
    assert parts(member_links.unsubscribe_url(member, MAIL, Topic.STORIES), "unsubscribe")[1:] == ["email", "stories"]
    assert parts(member_links.unsubscribe_url(member, MAIL, None), "unsubscribe")[2] == ""
    assert parts(member_links.rsvp_url(other, member, SMS, "yes"), "rsvp") == [other.hex, member.hex, "sms"]
    assert member_links.rsvp_url(other, member, SMS, "yes").endswith("?answer=yes")
    assert parts(member_links.story_url(other), "story") == [other.hex]
    assert member_links.confirm_url(other).startswith(config.current().base_url + "/c/")


# By text


def text_in(words: str, phone: str = PHONE, language: str = "en") -> TextJoin:
    with db.transaction() as session:
        return members.join_by_text(session, phone, words, event_id=7, language=language)


def test_join_by_text_asks_for_18_then_for_yes(database: db.Database) -> None:
    with db.transaction() as session:
        session.add(Circle(name="Tuesdays", slug="tue", keyword="TUESDAY", time_zone="UTC", created_at=clock.now()))
    assert text_in("Join tuesday!") == TextJoin.ASKED_ADULT
    with db.transaction() as session:
        assert contacts.find_members(session, SMS, PHONE) == []
        member = members.finish_join_by_text(session, PHONE, event_id=8)
        assert member is not None
        assert (member.state, member.country, member.adult_confirmed_at is not None) == (
            MemberState.PENDING,
            "US",
            True,
        )
        assert members.finish_join_by_text(session, PHONE, event_id=9) is None  # asked and answered
    with db.transaction() as session:
        member = found(session, SMS, PHONE)
        (line,) = ledger(session, member)
        assert line.kind == ConsentKind.REQUESTED
        assert "STOP" in line.wording  # what the question said is what is agreed to
        assert line.evidence == "webhook event 8"
        assert consent.confirm(session, member, SMS, source="YES")
        assert on(session, member, SMS) == set(Topic)
        assert session.scalar(select(CircleMembership.member_id)) == member.id
        assert sent(session) == ["ask_adult", "confirm"]


def test_an_answer_that_comes_too_late_or_says_no(database: db.Database) -> None:
    with clock.frozen_at(NOON):
        text_in("JOIN")
    with clock.frozen_at(NOON + timedelta(hours=73)), db.transaction() as session:
        assert members.finish_join_by_text(session, PHONE, event_id=1) is None
        assert members.decline_join(session, PHONE)
        assert not members.decline_join(session, PHONE)


def test_join_from_people_whom_we_know(database: db.Database) -> None:
    member = joined()
    assert text_in("JOIN") == TextJoin.ALREADY
    preferences.leave(member.id, link_channel=SMS)
    assert text_in("JOIN") == TextJoin.BACK
    with db.reading() as session:
        member = found(session, SMS, PHONE)
        assert member.state == MemberState.ACTIVE
        assert (on(session, member, SMS), on(session, member, MAIL)) == (set(Topic), set())
        assert sent(session)[-1] == "welcome"
    members.mark_died(member.id, db.uuid7())
    assert text_in("JOIN") == TextJoin.PERSON  # somebody else may hold the phone
    assert text_in("JOIN", "+4915112345678") == TextJoin.COUNTRY


# Going


def test_a_death_stops_everything_and_rests_what_they_told(database: db.Database) -> None:
    member = joined()
    with db.transaction() as session:
        circle = Circle(name="Tuesdays", slug="tue", keyword="TUESDAY", time_zone="UTC", created_at=clock.now())
        session.add_all([circle, _story(member.id, StoryState.PUBLISHED)])
        session.flush()
        session.add(CircleMembership(circle_id=circle.id, member_id=member.id, joined_at=clock.now()))
    members.mark_died(member.id, db.uuid7())
    with db.transaction() as session:
        member = session.get_one(Member, member.id)
        assert member.state == MemberState.DIED
        assert {s.state for s in member.subscriptions} == {SubscriptionState.STOPPED}
        assert session.scalar(select(Story.state)) == StoryState.RESTING
        assert session.scalar(select(Circle.on_hold)) is True
        assert consent.start(session, member, SMS, source="START") == []
        assert not consent.confirm(session, member, MAIL, source="YES")
        assert consent.suppressed(session, SMS, PHONE)
        assert member.state == MemberState.DIED


def test_erasure_leaves_only_what_proves_and_protects(database: db.Database) -> None:
    member = joined()
    with db.transaction() as session:
        thread = session.scalars(select(Conversation)).one()
        for number, raw in enumerate(
            ("From=%2B12025550123&Body=hi", '[{"email":"Ana@example.org"}]', "From=%2B12025559999&Body=hi")
        ):
            session.add(WebhookEvent(provider="twilio", event_id=str(number), kind="text", raw=raw, received_at=NOON))
        mine = Message(conversation_id=thread.id, member_id=member.id, direction=Direction.IN, channel=SMS, at=NOON)
        mine.body = "my words"
        session.add_all([mine, _story(member.id, StoryState.PUBLISHED)])
    members.erase(member.id, "cli")
    with db.reading() as session:
        gone = session.get_one(Member, member.id)
        assert (gone.state, gone.first_name, gone.addresses, gone.subscriptions) == (MemberState.ERASED, "", [], [])
        assert list(session.scalars(select(Message))) == []
        assert list(session.scalars(select(Conversation))) == []
        raws = list(session.scalars(select(WebhookEvent.raw).order_by(WebhookEvent.event_id)))
        assert raws == [None, None, "From=%2B12025559999&Body=hi"]
        story = session.scalars(select(Story)).one()
        assert (story.state, story.body_email, story.original, story.author_id) == (
            StoryState.WITHDRAWN,
            "",
            None,
            None,
        )
        lines = ledger(session, gone)
        assert lines[-1].kind == ConsentKind.ERASED
        assert lines[0].wording
        assert {line.ip for line in lines} == {None}
        assert consent.suppressed(session, SMS, PHONE)
        assert consent.suppressed(session, MAIL, EMAIL)


def test_staff_correct_details_and_a_new_number_has_to_say_yes(database: db.Database) -> None:
    member, staff = joined(), db.uuid7()
    changed = members.update_details(
        member.id, staff, first_name="Anna", time_zone="America/Chicago", phone="202-555-0177"
    )
    assert changed == ["first_name", "time_zone", "phone"]
    with db.transaction() as session:
        member = found(session, SMS, "+12025550177")
        assert (on(session, member, SMS), on(session, member, MAIL)) == (set(), set(Topic))
        assert sent(session)[-1] == "confirm"
        assert contacts.find_members(session, SMS, PHONE) == []
        assert consent.confirm(session, member, SMS, source="YES")
        assert on(session, member, SMS) == set(Topic)
    assert members.update_details(member.id, staff, phone="+12025550177", first_name="Anna") == []
    assert members.update_details(member.id, staff, email="") == ["email"]
    with pytest.raises(Invalid) as problem:
        members.update_details(member.id, staff, time_zone="Mars/Base")
    assert problem.value.field == "time_zone"
    members.erase(member.id, "cli")
    with pytest.raises(Conflict):
        members.update_details(member.id, staff, first_name="Ana")


def _story(author: Any, state: StoryState) -> Story:
    return Story(
        author_id=author, title="Mine", body_email="words", body_sms="words", original="words", state=state,
        created_at=NOON, updated_at=NOON,
    )  # fmt: skip


# What is held


def code_from(session: Any) -> str:
    message = session.scalars(
        select(Message).where(Message.template == "access_code").order_by(Message.id.desc())
    ).first()
    return next(word for word in message.body.replace("*", " ").replace(".", " ").split() if word.isdigit())


def test_a_code_goes_to_the_other_address_and_opens_once(database: db.Database) -> None:
    member = joined()
    assert held.other_address(member.id, SMS) == "a•••@example.org"
    assert held.send_access_code(member.id, SMS) == "a•••@example.org"
    with db.reading() as session:
        message = session.scalars(select(Message).where(Message.template == "access_code")).one()
        code = code_from(session)
    assert message.channel == MAIL
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    with pytest.raises(Invalid):
        held.check_access_code(member.id, SMS, wrong)
    held.check_access_code(member.id, SMS, f"{code[:3]} {code[3:]}")
    with pytest.raises(LinkExpired):
        held.check_access_code(member.id, SMS, code)
    assert "access_code" not in [m.template for m in held.held(member.id).messages]


def test_guessing_a_code_ends_after_five_and_asking_after_three(database: db.Database) -> None:
    member = joined()
    with clock.frozen_at(NOON):
        held.send_access_code(member.id, SMS)
        with db.reading() as session:
            code = code_from(session)
        wrong = f"{(int(code) + 1) % 1_000_000:06}"
        for _ in range(5):
            with pytest.raises(Invalid):
                held.check_access_code(member.id, SMS, wrong)
        with pytest.raises(TooMany):
            held.check_access_code(member.id, SMS, code)
        held.send_access_code(member.id, SMS)
        held.send_access_code(member.id, SMS)
        with pytest.raises(TooMany):
            held.send_access_code(member.id, SMS)
    with clock.frozen_at(NOON + timedelta(minutes=11)), db.reading() as session, pytest.raises(LinkExpired):
        held.check_access_code(member.id, SMS, code_from(session))


def test_without_a_second_address_a_person_helps(database: db.Database) -> None:
    member = joined(email="")
    assert held.other_address(member.id, SMS) is None
    with pytest.raises(Conflict, match="write to us"):
        held.send_access_code(member.id, SMS)


# Settings


def test_settings_say_what_was_done(database: db.Database) -> None:
    member = joined()
    view = preferences.view(member.id)
    assert view.on == {(t, c) for t in Topic for c in (SMS, MAIL)}
    changes = preferences.Changes(
        on=view.on - {(Topic.TOOLS, SMS)}, weekly_cap=1, window=(600, 1200), time_zone="America/Chicago",
        language="es", discreet=True, channel="email",
    )  # fmt: skip
    done = [line.done.value for line in preferences.save(member.id, changes, link_channel=SMS)]
    assert done == ["topic_off", "often", "window", "time_zone", "language", "discreet", "channel"]
    assert preferences.save(member.id, changes, link_channel=SMS) == []
    after = preferences.view(member.id)
    assert (after.language, after.window, after.channel, after.discreet) == ("es", (600, 1200), "email", True)
    for bad, field in (
        (preferences.Changes(window=(600, 620)), "window_to"),
        (preferences.Changes(weekly_cap=99), "weekly_cap"),
        (preferences.Changes(time_zone="Mars/Base"), "time_zone"),
        (preferences.Changes(language="fr"), "language"),
    ):
        with pytest.raises(Invalid) as problem:
            preferences.save(member.id, bad, link_channel=SMS)
        assert problem.value.field == field


def test_a_break_ends_at_midnight_on_the_members_clock(database: db.Database) -> None:
    member = joined()
    with clock.frozen_at(NOON):
        until = preferences.pause(member.id, "day", datetime(2026, 12, 10).date(), link_channel=SMS)
        assert until == datetime(2026, 12, 10, 5, 0, tzinfo=UTC)  # midnight in New York
        assert preferences.pause(member.id, "week", link_channel=SMS) == NOON + timedelta(days=7)
        assert preferences.view(member.id).paused_until == NOON + timedelta(days=7)
        assert preferences.resume(member.id, link_channel=SMS)
        with pytest.raises(Invalid):
            preferences.pause(member.id, "year", link_channel=SMS)
