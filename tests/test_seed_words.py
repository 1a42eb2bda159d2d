"""The demo's stories, tools and campaigns: what they may not say, what they must, and that they fit a text."""

import re
from itertools import product
from typing import Any

import pytest

from service.actions.outbox import environment
from service.channels import render
from service.config import TEMPLATES
from service.models.campaigns import CampaignKind
from service.models.content import Attribution
from service.models.members import Topic
from tests.seed_files import (
    CAMPAIGNS,
    CIRCLES,
    CLAIMS,
    DEMANDS,
    FORBIDDEN,
    MEMBERS,
    METHOD_OR_PLACE,
    PERSONAL,
    PRIVACY,
    SESSIONS,
    STAFF,
    STORIES,
    TOOLS,
    septets,
    words,
)


def composed(story: dict[str, Any]) -> str:
    """The story in the longest frame that the composer and the required lines put around it."""
    spanish = story["language"] == "es"
    key = "story-receta" if spanish else "story-im-fine"
    body = next(c["body"] for c in CAMPAIGNS[key]["content"] if c["channel"] == "sms")
    text = render.TEXT.from_string(body).render(
        org_name="Hearthline", story_about=story["about"], story_body=story["body_sms"]
    )
    footer = TEMPLATES / "sms" / ("sms_footer_first.es.txt" if spanish else "sms_footer_first.txt")
    lines = [
        environment().from_string(footer.read_text(encoding="utf-8")).render(org_name="Hearthline", country=country)
        for country in ("US", "GB", "MX")
    ]
    return f"{text}\n{max(lines, key=len)}"


@pytest.mark.parametrize("key", STORIES)
def test_a_story_fits_and_is_complete(key: str) -> None:
    story = STORIES[key]
    assert 120 <= words(story["body_email"]) <= 220
    length = septets(story["body_sms"])
    assert length is not None, "a Spanish story is worded inside GSM-7"
    assert length <= 290
    whole = septets(composed(story))
    assert whole is not None
    assert whole <= 3 * 153, f"{key} with all its lines: {whole}"
    assert "http" not in story["body_sms"]
    assert len(story["title"]) <= 120
    assert story["about"]
    assert len(story["about"]) <= 40
    assert Attribution(story["attribution"])
    author = MEMBERS[story["author"]]
    assert author["locale"][:2] == story["language"]
    days = int(story["published_at"][1:-1])
    assert days <= int(author["joined"][1:-1])
    if story["loss"] or story["mentions_self_harm"]:
        assert int(author["joined"][1:-1]) >= 365, "at least a year after a loss or an attempt"


@pytest.mark.parametrize("key", STORIES)
def test_a_story_keeps_the_rules(key: str) -> None:
    story = STORIES[key]
    for text in (story["title"], story["about"], story["body_sms"], story["body_email"]):
        for rule in (METHOD_OR_PLACE, FORBIDDEN, CLAIMS, DEMANDS, PRIVACY, PERSONAL):
            found = re.search(rule, text, re.I)
            assert not found, f"{key}: {found and found.group()!r}"
    self_harm = r"suicid|self-harm|autolesi|hurt(ing)? myself|end(ing)? my life|want(ed)? to die|quise morir"
    speaks = any(re.search(self_harm, story[part], re.I) for part in ("body_sms", "body_email"))
    assert speaks == story["mentions_self_harm"]
    if story["mentions_self_harm"]:
        assert story["me_too_allowed"] is False, "no ME TOO on a story of suicide"
    help_word = "HELP" if story["language"] == "en" else "AYUDA"
    assert help_word in story["body_sms"], "where to find help"
    assert help_word in story["body_email"].strip().split("\n\n")[-1], "where to find help, at the end"
    author = MEMBERS[story["author"]]["first_name"]
    assert not re.search(rf"\b{author}\b", story["body_sms"] + story["body_email"]), "the author's name stays outside"
    others = {m["first_name"] for m in MEMBERS.values()} - {"Grace", "Joy", "Bill", "Sam", "Frank"}
    assert not [n for n in others if re.search(rf"\b{n}\b", story["body_email"])], "no names of others"
    loss = r"\bdied\b|\bmurió\b|se fue mi|the people we miss|\bgrief\b|\bduelo\b"
    assert bool(re.search(loss, story["body_email"] + story["body_sms"], re.I)) == story["loss"]


def test_the_lint_for_stories_finds_what_it_is_for() -> None:
    for bad in ("I took all the pills", "he was on the bridge", "tomé pastillas"):
        assert re.search(METHOD_OR_PLACE, bad, re.I), bad
    for bad in ("he committed suicide", "an unsuccessful attempt", "fue la única salida"):
        assert re.search(FORBIDDEN, bad, re.I), bad
    assert re.search(PERSONAL, "call me on 202 555 0123")
    assert not re.search(PERSONAL, "two years, and at ten o'clock")


@pytest.mark.parametrize("key", TOOLS)
def test_a_tool(key: str) -> None:
    tool = TOOLS[key]
    length = septets(tool["body_sms"])
    assert length is not None
    assert length <= 300
    assert 60 <= words(tool["body_email"]) <= 220
    assert tool["owner"] in STAFF
    assert tool["source"]
    assert len(tool["source"]) <= 200
    assert tool["topics"]
    assert re.fullmatch(r"\+\d{2,3}d", tool["review_by"])
    for rule in (CLAIMS, DEMANDS, METHOD_OR_PLACE):
        assert not re.search(rule, tool["body_sms"] + tool["body_email"], re.I), key


@pytest.mark.parametrize("key", CAMPAIGNS)
def test_a_campaign(key: str) -> None:
    campaign = CAMPAIGNS[key]
    assert CampaignKind(campaign["kind"])
    assert Topic(campaign["topic"])
    assert campaign["created_by"] in STAFF
    assert (campaign["state"] == "finished") == ("sent" in campaign)
    assert campaign.get("circle", "sobremesa") in CIRCLES
    assert campaign.get("session", "sobremesa#1") in SESSIONS
    assert campaign.get("story", "im-fine") in STORIES
    assert campaign.get("tool", "longer-breath") in TOOLS
    seen = {(c["channel"], c["language"]) for c in campaign["content"]}
    languages = {campaign["language"]} if "language" in campaign else {language for _, language in seen}
    assert seen == set(product(campaign["channels"], languages))
    for content in campaign["content"]:
        assert render.check(content["body"]) == [], key
        assert not re.search(f"{DEMANDS}|{PRIVACY}|{CLAIMS}|we missed|te echamos", content["body"], re.I)
        if content["channel"] == "email":
            assert render.check(content["subject"]) == []
        else:
            filled = render.TEXT.from_string(content["body"]).render(**render.EXAMPLES)
            assert "http" not in content["body"]
            assert septets(filled) is not None
