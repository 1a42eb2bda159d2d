"""The coordinators' pages of tools and series, and of check-ins with a rhythm."""

from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service import clock, db
from service.actions import tools
from service.actions.checkins import making
from service.models.campaigns import Campaign
from service.models.checkins import Rhythm, RhythmKind
from service.models.content import Prompt, Tool
from service.models.tools import ToolSeries
from tests.flows.world import add_circle, add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA
from tests.web.pages import submit

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NEW = "/console/stories/tools/new"
RHYTHM: dict[str, Any] = {
    "name": "How are you?", "circle_id": "", "every": "week", "days": ["1", "4"], "local_time": "11:00",
    "channels": ["sms"], "sms_en_body": "How are you today?", "month_day": "", "starts_on": "",
}  # fmt: skip


def card(**more: Any) -> dict[str, object]:
    day = (clock.now().date() + timedelta(days=90)).isoformat()
    return {
        "title": "Long breath", "topics": "anxiety, sleep", "language": "en", "body_sms": "In, out.",
        "body_email": "In, and out again.", "owner": "Safia", "source": "our own", "review_by": day,
    } | more  # fmt: skip


def one(model: Any) -> Any:
    with db.reading() as session:
        return session.scalars(select(model)).one()


def test_a_card_is_looked_at_before_it_is_saved(console: FlaskClient) -> None:
    seen = submit(console, NEW, card(do="preview"))
    assert seen.status_code == 200
    assert "Anxiety: In, out. Did it help? Reply HELPED or NOT REALLY" in seen.text
    assert "1 segment" in seen.text
    dear = submit(console, NEW, card(do="preview", body_sms="In… out. " * 30))
    assert "dearer because of …" in dear.text
    with db.reading() as session:
        assert session.scalars(select(Tool)).all() == []
    assert submit(console, NEW, card()).status_code == 302
    assert "As it arrives" in console.get(f"/console/stories/tools/{one(Tool).id}").text


def test_a_card_is_retired_and_brought_back(console: FlaskClient, enter: Enter) -> None:
    submit(console, NEW, card())
    where = f"/console/stories/tools/{one(Tool).id}"
    assert submit(console, where, {"retired": "1"}, to=f"{where}/retired").status_code == 302
    assert "Long breath" not in console.get("/console/stories/tools").text
    assert "Long breath" in console.get("/console/stories/tools?shelf=retired").text
    assert "sent to nobody" in console.get(where).text
    submit(console, where, {"retired": "0"}, to=f"{where}/retired")
    assert "Long breath" in console.get("/console/stories/tools").text
    other = enter("circle_coordinator")
    assert submit(other, "/console/you", {"retired": "1"}, to=f"{where}/retired").status_code == 403


def test_the_list_tells_how_cards_stand_and_today_what_has_to_be_read(console: FlaskClient) -> None:
    submit(console, NEW, card())
    ana = add_member("Ana", ANA)
    assert "no answers yet" in console.get("/console/stories/tools").text
    with db.transaction() as session:
        tools.note(session, one(Tool).id, ana.id, True)
    assert "1 of 1" in console.get("/console/stories/tools").text
    assert "Tools to read again" not in console.get("/console/today/").text
    desk.change(Tool, one(Tool).id, review_by=clock.now().date() + timedelta(days=3))
    assert "Tools to read again" in console.get("/console/today/").text
    desk.change(Tool, one(Tool).id, review_by=date(2020, 1, 1))
    assert "not sent" in console.get("/console/today/").text


def test_a_series_is_made_of_cards(console: FlaskClient) -> None:
    for title in ("First", "Second", "Third"):
        submit(console, NEW, card(title=title))
    submit(console, NEW, card(title="Primera", language="es"))
    with db.reading() as session:
        ids = {tool.title: str(tool.id) for tool in session.scalars(select(Tool))}
    new = "/console/stories/series/new"
    typed = {"title": "Small evenings", "language": "en", "local_time": "18:00", "owner": "Safia"}
    few = submit(console, new, typed | {"card": [ids["First"], ""]})
    assert few.status_code == 422
    assert "two days at least" in few.text
    mixed = submit(console, new, typed | {"card": [ids["First"], ids["Primera"]]})
    assert "in the language of the series" in mixed.text
    assert "like 18:00" in submit(console, new, typed | {"local_time": "6pm", "card": list(ids.values())[:2]}).text
    assert submit(console, new, typed | {"card": [ids["Second"], ids["First"], ""]}).status_code == 302
    page = console.get("/console/stories/series").text
    assert "Small evenings" in page
    where = f"/console/stories/series/{one(ToolSeries).id}"
    assert "selected>Second" in console.get(where).text.replace('selected=""', "selected")
    submit(console, where, {"retired": "1"}, to=f"{where}/retired")
    assert "not offered" in console.get("/console/stories/series").text


def test_a_rhythm_is_set_up_with_words_ready_and_shows_its_days(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    begun = console.get("/console/campaigns/rhythms/new").text
    assert "How are you" in begun  # words that can be sent as they are
    wrong = submit(console, "/console/campaigns/rhythms/new", RHYTHM | {"days": [], "sms_en_body": "Mine"})
    assert wrong.status_code == 422
    assert "Choose at least one day of the week." in wrong.text
    assert "Mine" in wrong.text  # nothing typed is lost
    unknown = submit(console, "/console/campaigns/rhythms/new", RHYTHM | {"sms_en_body": "Hi {{ frist_name }}"})
    assert unknown.status_code == 422
    assert submit(console, "/console/campaigns/rhythms/new", RHYTHM).status_code == 302
    page = console.get("/console/campaigns/rhythms").text
    assert "Every week on Tuesday and Friday, 11:00" in page
    assert "Saved. The first one comes" in page
    with clock.frozen_at((clock.now() + timedelta(days=8)).replace(hour=14)):
        making.make_due()
    made = one(Rhythm)
    where = f"/console/campaigns/rhythms/{made.id}"
    assert submit(console, where, RHYTHM | {"every": "month", "month_day": "15"}).status_code == 302
    assert "Every month on day 15" in console.get("/console/campaigns/rhythms").text
    for what, word in (("pause", "paused"), ("resume", "then"), ("end", "No rhythm yet")):
        assert submit(console, where, {}, to=f"{where}/{what}").status_code == 302
        assert word in console.get("/console/campaigns/rhythms").text


def test_the_page_says_when_the_first_one_comes(enter: Enter) -> None:
    add_member("Ana", ANA)
    every_day, where = RHYTHM | {"days": list("0123456")}, "/console/campaigns/rhythms"
    noon = clock.now().replace(hour=16, minute=0)  # in New York and in UTC it is the same day
    with clock.frozen_at(noon):
        console = enter("coordinator")  # then, too: a session of last night would be over
        for hour, told in (
            ("21:00", "The first one comes today, at 21:00 on each member’s own clock."),
            ("08:00", "’s 08:00 is over for most of them, or too near."),
        ):
            submit(console, f"{where}/new", every_day | {"local_time": hour})
            assert told in unescape(console.get(where).text)
        with db.reading() as session:
            made = session.scalars(select(Rhythm).where(Rhythm.local_time == "21:00")).one()
        submit(console, f"{where}/{made.id}", {}, to=f"{where}/{made.id}/pause")
        submit(console, f"{where}/{made.id}", {}, to=f"{where}/{made.id}/resume")
        assert "It goes on. The next one comes today" in console.get(where).text


def test_a_circle_coordinator_sets_up_their_own_circles_rhythm_only(enter: Enter) -> None:
    circle = add_circle()
    whole, own = enter("coordinator"), enter("circle_coordinator", email="olu@example.org")
    submit(whole, "/console/campaigns/rhythms/new", RHYTHM)
    assert "How are you?" not in own.get("/console/campaigns/rhythms").text
    assert submit(own, "/console/campaigns/rhythms/new", RHYTHM).status_code == 422
    desk.give_circle(desk.coordinator("olu@example.org"), circle)
    done = submit(own, "/console/campaigns/rhythms/new", RHYTHM | {"circle_id": str(circle.id)})
    assert done.status_code == 302, done.text
    assert "Tuesday Circle" in own.get("/console/campaigns/rhythms").text


def test_an_ended_rhythms_campaigns_stay(console: FlaskClient) -> None:
    add_member("Ana", ANA)
    submit(console, "/console/campaigns/rhythms/new", RHYTHM | {"days": list("0123456")})
    with clock.frozen_at((clock.now() + timedelta(days=1)).replace(hour=14)):
        assert making.make_due() == 1
    where = f"/console/campaigns/rhythms/{one(Rhythm).id}"
    submit(console, where, {}, to=f"{where}/end")
    assert one(Campaign).occurs_on is not None
    assert "How are you?" in console.get("/console/campaigns/").text


def test_a_prompt_is_asked_at_once_and_looked_at_before_it_leaves(enter: Enter) -> None:
    add_member("Ana", ANA)
    console = enter("coordinator")
    where = "/console/campaigns/prompts"
    submit(console, f"{where}/new", {"words_en": "I dread the week", "words_es": ""})
    submit(console, f"{where}/new", {"words_en": "I say yes and mean no", "words_es": "Digo que sí, y no es así"})
    with db.reading() as session:
        first, second = session.scalars(select(Prompt).order_by(Prompt.position))
    begun = submit(console, where, {}, to=f"{where}/{first.id}/ask")
    draft = one(Campaign)
    edit = begun.headers["Location"]
    assert edit == f"/console/campaigns/{draft.id}/edit"
    assert (draft.prompt_id, draft.audience["languages"], draft.name) == (first.id, ["en"], "You too?")
    page = console.get(edit).text
    assert "“I dread the week” (English, from us)" in unescape(page)
    assert "hope stories" in page
    assert "Its draft" in console.get(where).text
    assert submit(console, edit, {}, to=f"{where}/{first.id}/ask").headers["Location"] == edit  # no second draft
    typed = {
        "name": "You too?", "prompt_id": str(second.id), "was": str(first.id), "audience": "en", "channels": ["sms"],
        "sms_en_body": "{{ prompt_body }}", "kind": "prompt",
    }  # fmt: skip
    assert submit(console, edit, typed | {"go": "review"}).status_code == 302
    assert one(Campaign).audience["languages"] == []  # the other one has words in both
    review = unescape(console.get(f"/console/campaigns/{draft.id}/review").text)
    assert "I say yes and mean no" in review
    assert "Send to 1 person" in review
    sent = submit(console, f"/console/campaigns/{draft.id}/review", {"when": "now"})
    assert sent.status_code == 302
    assert "“I say yes and mean no”" in unescape(console.get(sent.headers["Location"]).text)
    line, asked = console.get(where).text.split("Asked, or retired")
    assert "I say yes and mean no" in asked
    assert "I say yes and mean no" not in line
    own = enter("circle_coordinator", email="olu@example.org")
    circle = add_circle()
    desk.give_circle(desk.coordinator("olu@example.org"), circle)
    submit(console, where, {}, to=f"{where}/{first.id}/ask")
    with db.transaction() as session:
        session.execute(update(Campaign).where(Campaign.prompt_id == first.id).values(circle_id=circle.id))
        theirs = session.scalars(select(Campaign.id).where(Campaign.prompt_id == first.id)).one()
    assert "I dread the week" in own.get(f"/console/campaigns/{theirs}/edit").text  # seen, and not theirs to change
    changed = submit(own, f"/console/campaigns/{theirs}/edit", {"kind": "prompt", "circle_id": str(circle.id)})
    assert "Prompts go to everybody" in changed.text
    assert submit(own, "/console/you", {}, to=f"{where}/{first.id}/ask").status_code == 403
    assert "You too?" not in own.get("/console/campaigns/new").text
    assert submit(own, "/console/campaigns/new", {"kind": "prompt"}).status_code == 403
    assert "You too?" in console.get("/console/campaigns/new").text


def test_prompts_are_written_ordered_and_retired(enter: Enter) -> None:
    console = enter("coordinator")
    where = "/console/campaigns/prompts"
    assert "No prompt waits" in console.get(where).text
    hard = submit(console, f"{where}/new", {"words_en": "I was raped and cannot say it", "words_es": ""})
    assert hard.status_code == 422
    assert "suicide or assault" in hard.text
    assert "cannot say it" in hard.text  # nothing typed is lost
    for words in ("I dread the week", "I say yes and mean no"):
        assert submit(console, f"{where}/new", {"words_en": words, "words_es": ""}).status_code == 302
    with db.reading() as session:
        first, second = session.scalars(select(Prompt).order_by(Prompt.position))
    submit(console, where, {}, to=f"{where}/{second.id}/up")
    page = console.get(where).text
    assert page.index("I say yes") < page.index("I dread")
    changed = {"words_en": "I dread the week", "words_es": "Me pesa la semana"}
    assert submit(console, f"{where}/{first.id}", changed).status_code == 302
    assert "English and Spanish" in console.get(where).text
    submit(console, where, {}, to=f"{where}/{first.id}/retire")
    assert "retired" in console.get(where).text
    assert submit(console, f"{where}/{first.id}", changed).status_code == 422
    rhythm = RHYTHM | {"sms_en_body": "{{ prompt_body }}", "name": "You too?"}
    assert submit(console, "/console/campaigns/rhythms/new?kind=prompt", rhythm).status_code == 302
    assert one(Rhythm).kind == RhythmKind.PROMPT
    own = enter("circle_coordinator", email="olu@example.org")
    assert "I say yes" in own.get(where).text
    assert own.get(f"{where}/new").status_code == 403
