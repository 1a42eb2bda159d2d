"""The demo's community: every reference resolves, and every number and address is fictional and valid."""

import re
import tomllib
import zoneinfo
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Any

import phonenumbers
import pytest
from dateutil.rrule import rrulestr
from email_validator import validate_email

from service.actions import kind_words, story_checks, understanding
from service.actions.giving import gifts
from service.actions.vents import keeping
from service.config import TEMPLATES
from service.models.campaigns import CampaignState
from service.models.conversations import ConversationState, RiskTier
from service.models.gatherings import Openness, Rsvp
from service.models.members import MemberState, Topic
from service.models.staff import Role
from tests.seed_files import (
    CAMPAIGNS,
    CIRCLES,
    CLAIMS,
    DEMANDS,
    FORBIDDEN,
    MEMBERS,
    METHOD_OR_PLACE,
    PRIVACY,
    SESSIONS,
    STAFF,
    STORIES,
    TOOLS,
    data,
    rows,
    words,
)

RELATIVE = re.compile(r"[-+]\d+d( \d\d:\d\d)?|-(\d+h)?(\d+m)?")
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
TAKEN_WORDS = {
    "STOP", "HELP", "YES", "NO", "MAYBE", "END", "QUIT", "CANCEL", "UNSUBSCRIBE", "STOPALL", "REVOKE", "OPTOUT",
    "START", "UNSTOP", "INFO", "JOIN", "PAUSE", "STORY", "TOOL", "VENT", "OOPS", "ADULT", "MORE", "LESS", "READ",
    "STEP", "SAVE", "CHEER", "PASS", "PUBLISH", "THANKS", "FIND", "LANG", "ASK", "OFFER", "HELPED", "WITHDRAW",
    "BAJA", "ALTO", "PARAR", "AYUDA", "PAUSA", "HISTORIA", "HERRAMIENTA", "DESAHOGO", "MAYOR",
}  # fmt: skip


def test_there_is_as_much_as_the_demo_promises() -> None:
    assert 55 <= len(MEMBERS) <= 65
    assert len(CIRCLES) == 4
    assert len(STORIES) == 12
    assert len(TOOLS) == 12
    assert Counter(s["language"] for s in STORIES.values()) == {"en": 9, "es": 3}
    assert Counter(t["language"] for t in TOOLS.values()) == {"en": 9, "es": 3}
    assert sorted(c["role"] for c in STAFF.values()) == sorted([*Role, Role.COORDINATOR])
    assert Counter(c["state"] for c in CAMPAIGNS.values()) == {CampaignState.FINISHED: 6, CampaignState.DRAFT: 1}
    assert len(rows("conversations", "conversation")) >= 25
    assert [c["next"] for c in rows("sessions", "circle")] == [2, 2, 2, 2]


def test_the_variety_of_members() -> None:
    people = list(MEMBERS.values())
    assert sum(m.get("state") == MemberState.PENDING for m in people) == 2
    assert sum(m.get("state") == MemberState.LEFT for m in people) == 1
    assert sum(bool(m.get("discreet")) for m in people) >= 4
    assert sum("paused" in m for m in people) >= 3
    assert sum("phone" not in m for m in people) >= 8
    assert sum("email" not in m for m in people) >= 8
    assert [m["loss"] for m in people if "loss" in m] == ["-21d"]
    assert {m["time_zone"] for m in people} >= {
        "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Phoenix",
        "Pacific/Honolulu", "Europe/London", "America/Mexico_City", "Europe/Madrid",
    }  # fmt: skip
    shared = [phone for phone, n in Counter(m["phone"] for m in people if "phone" in m).items() if n > 1]
    assert [m["key"] for m in people if m.get("phone") in shared] == ["rosa", "daniela"]


@pytest.mark.parametrize("key", MEMBERS)
def test_a_member(key: str) -> None:
    member = MEMBERS[key]
    assert member["first_name"]
    assert member.get("phone") or member.get("email")
    assert member["locale"] in ("en", "en-GB", "es")
    assert (member["locale"] == "en-GB") == (member["country"] in ("GB", "IE"))
    assert member["time_zone"] in zoneinfo.available_timezones()
    assert set(member["circles"]) <= set(CIRCLES)
    assert set(member["topics"]) <= set(Topic)
    assert member["topics"]
    assert MemberState(member.get("state", "active"))
    assert ("preferred" in member or member.get("both", False)) <= ("phone" in member and "email" in member)
    if "phone" in member and "email" in member:
        assert "preferred" in member or member.get("both"), "one copy per person: on which channel?"
    for field in ("joined", "loss", "left"):
        assert re.fullmatch(r"-\d+d", member.get(field, "-1d"))
    assert re.fullmatch(r"\+\d+d", member.get("paused", "+1d"))
    if member.get("discreet"):
        assert "stories" not in member["topics"], "a story in a text would tell what it is about"
    for circle in member["circles"]:
        assert CIRCLES[circle]["language"] == member["locale"][:2] or circle == "small-hours"


def fictional(number: str) -> bool:
    """555-01xx in North America; Ofcom's numbers for drama; Mexican exchanges beginning with 0, which none do."""
    return bool(
        re.fullmatch(r"\+1\d{3}55501\d\d", number)
        or re.fullmatch(r"\+44(20 ?7946 ?0|113 ?496 ?0|117 ?496 ?0|121 ?496 ?0|131 ?496 ?0|141 ?496 ?0)\d{3}", number)
        or re.fullmatch(r"\+44(161 ?496 ?0|191 ?498 ?0|29 ?2018 ?0)\d{3}", number)
        or re.fullmatch(r"\+52(55|33|81)0000\d{4}|\+526640000\d{3}", number)
    )


def test_every_number_and_address_is_fictional_and_valid() -> None:
    people = [*MEMBERS.values(), *STAFF.values()]
    for person in people:
        if phone := person.get("phone"):
            parsed = phonenumbers.parse(phone)
            assert phonenumbers.is_valid_number(parsed), phone
            assert fictional(phone), phone
            assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == phone
            if "country" in person:
                assert phonenumbers.region_code_for_number(parsed) == person["country"], person["key"]
        if email := person.get("email"):
            validate_email(email, check_deliverability=False, test_environment=True)
            host = email.split("@")[1]
            assert host in {"example.com", "example.org", "example.net", "hearthline.example"}, email
    emails = [p["email"] for p in people if "email" in p]
    assert len(set(emails)) == len(emails)
    assert all(c["email"].endswith("@hearthline.example") for c in STAFF.values())


@pytest.mark.parametrize("key", CIRCLES)
def test_a_circle(key: str) -> None:
    circle = CIRCLES[key]
    zone = zoneinfo.ZoneInfo(circle["time_zone"])
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", circle["slug"])
    assert re.fullmatch(r"[A-Z]{4,12}", circle["keyword"])
    assert circle["keyword"] not in TAKEN_WORDS
    assert Openness(circle["openness"])
    assert set(circle["coordinators"]) <= set(STAFF)
    assert circle["place"] or circle["online_url"]
    assert re.match(r"https://[a-z]+\.example\.org/", circle["online_url"])
    assert 30 <= words(circle["description"]) <= 70
    first = next(iter(rrulestr(circle["rrule"], dtstart=datetime(2026, 1, 1, tzinfo=zone))))
    assert WEEKDAYS[first.weekday()] == circle["weekday"]
    time.fromisoformat(circle["starts_time"])
    inside = [m for m in MEMBERS.values() if key in m["circles"] and m.get("state", "active") != MemberState.PENDING]
    assert 12 <= len(inside) <= circle["size"] + 2
    assert not re.search(f"{CLAIMS}|{PRIVACY}|{DEMANDS}", circle["description"], re.I)


def test_keywords_and_slugs_are_unique() -> None:
    for field in ("keyword", "slug", "name"):
        assert len({c[field] for c in CIRCLES.values()}) == len(CIRCLES)


@pytest.mark.parametrize("today", [date(2026, 3, 5), date(2026, 7, 1), date(2026, 11, 23), date(2026, 10, 20)])
def test_somebody_is_on_duty_every_hour_of_the_two_weeks(today: date) -> None:
    shifts = []
    for duty in rows("coordinators", "duty"):
        zone = zoneinfo.ZoneInfo(STAFF[duty["coordinator"]]["time_zone"])
        for day in (today + timedelta(days=n) for n in range(-1, 7 * data("coordinators")["weeks"] + 1)):
            if day.weekday() in duty["weekdays"]:
                starts, ends = time.fromisoformat(duty["from"]), time.fromisoformat(duty["until"])
                last = day if ends > starts else day + timedelta(days=1)
                shifts.append((datetime.combine(day, starts, zone), datetime.combine(last, ends, zone), duty["tier"]))
    for hour in range(24 * 14):
        now = datetime.combine(today, time(), UTC) + timedelta(hours=hour, minutes=30)
        tiers = {tier for start, end, tier in shifts if start <= now < end}
        assert {1, 3} <= tiers, f"nobody is on duty at {now}"


def templates_named() -> set[str]:
    index = tomllib.loads((TEMPLATES / "messages.toml").read_text(encoding="utf-8"))
    return set(index["messages"])


@pytest.mark.parametrize("conversation", rows("conversations", "conversation"), ids=lambda c: c["member"])
def test_a_conversation(conversation: dict[str, Any]) -> None:
    member = MEMBERS[conversation["member"]]
    channel = conversation["channel"]
    assert member.get("phone" if channel == "sms" else "email")
    assert ConversationState(conversation["state"])
    assert conversation.get("assigned_to", "maren") in STAFF
    for message in conversation["message"]:
        assert RELATIVE.fullmatch(message["at"]), message["at"]
        assert message.get("answers", "scale-monday") in CAMPAIGNS
        assert message.get("session", "kitchen-table#1") in SESSIONS
        assert message.get("me_too", "im-fine") in STORIES
        if message["direction"] == "out":
            assert ("template" in message) != ("body" in message)
            assert message.get("template", "help") in templates_named()
            assert ("body" in message) == (message.get("coordinator") in STAFF), "a person's words have a person"
        else:
            assert message["body"]
        assert not re.search(f"{METHOD_OR_PLACE}|{FORBIDDEN}", message.get("body", ""), re.I)
        if answered := message.get("answers"):
            campaign = CAMPAIGNS[answered]
            assert campaign["topic"] in member["topics"], "it went to that member"
            assert campaign.get("language", member["locale"][:2]) == member["locale"][:2]
    assert conversation["state"] == "needs_reply" or conversation["message"][-1]["at"] != "-25m"
    for note in conversation.get("note", []):
        assert note["coordinator"] in STAFF


def test_answers_stand_where_they_belong() -> None:
    said = {
        (m["session"], c["member"], m["rsvp"])
        for c in rows("conversations", "conversation")
        for m in c["message"]
        if "rsvp" in m and not m.get("undone")
    }
    answered = {(r["session"], r["member"], r["answer"]) for r in rows("sessions", "rsvp")}
    assert said <= answered
    assert len({(s, m) for s, m, _ in answered}) == len(answered)
    for session, member, answer in answered:
        assert session in SESSIONS
        assert Rsvp(answer)
        assert session.split("#")[0] in MEMBERS[member]["circles"], f"{member} is not in that circle"


def test_each_score_is_answered_by_its_own_text() -> None:
    scores = set()
    for conversation in rows("conversations", "conversation"):
        for message, following in zip(conversation["message"], conversation["message"][1:], strict=False):
            if "checkin" in message:
                scores.add(message["checkin"])
                assert following["template"] in (f"checkin_{message['checkin']}", "risk_answer")
                assert str(message["checkin"]) in message["body"]
    assert scores == {1, 2, 3, 4, 5}


def test_one_flag_is_open_and_one_was_cleared_with_an_outcome() -> None:
    flagged = {c["member"]: c["flag"] for c in rows("conversations", "conversation") if "flag" in c}
    assert len([f for f in flagged.values() if "cleared_at" not in f]) == 1
    for member, flag in flagged.items():
        assert RiskTier(flag["tier"])
        assert flag["acknowledged_by"] in STAFF
        assert ("cleared_at" in flag) == bool(flag.get("outcome")) == ("cleared_by" in flag)
        conversation = next(c for c in rows("conversations", "conversation") if c["member"] == member)
        assert conversation["message"][flag["message"]]["direction"] == "in"
        assert conversation["message"][flag["message"] + 1]["template"] == "risk_answer"


GIFTS = rows("gifts", "gift")
VENTS = rows("vents", "vent")


@pytest.mark.parametrize("vent", VENTS, ids=lambda v: str(v["member"]))
def test_a_vent_shows_no_risk(vent: dict[str, Any]) -> None:
    language = MEMBERS[vent["member"]]["locale"][:2]
    assert understanding.screen(vent["words"], language=language).risk == understanding.Risk.NONE
    assert vent["keep_days"] in keeping.DAYS


@pytest.mark.parametrize("gift", GIFTS, ids=lambda g: f"{g['member']}-{g['kind']}")
def test_a_gift(gift: dict[str, Any]) -> None:
    author = MEMBERS[gift["member"]]
    assert author.get("state", "active") == "active"
    assert gift["kind"] == "story" or len(gift["original"]) <= 300
    if gift["state"] == "approved":
        assert not gifts.names_somebody(gift["body"])
        assert not story_checks.mentions_self_harm(gift["body"])
        assert kind_words.advice(gift["body"], author["locale"][:2]) == []


def test_there_is_something_of_each_kind_to_decide_and_to_carry() -> None:
    kinds = {(g["kind"], g["state"]) for g in GIFTS}
    assert kinds == {*product(("step", "said", "feeling", "note"), ("review", "approved")), ("story", "review")}
    assert any(gifts.names_somebody(g["original"]) for g in GIFTS if g["state"] == "review"), "the checks have work"
