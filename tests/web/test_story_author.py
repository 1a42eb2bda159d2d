"""A story and its author on pages: the yes to exact words, what to change, taking it back; and the reviewer's side."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db, links
from service.actions import member_links
from service.actions.hope import asking
from service.models.content import Attribution, Story, StoryRead, StoryState, TopicLeftOut
from service.models.conversations import Flag, Message
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator
from service.web import differences
from tests.flows.world import add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA
from tests.web.pages import path_of, submit

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]
TOLD = "I used to lie awake. My friend Marcus rang on Sundays."


def told(author: Member, **more: object) -> Story:
    values: dict[str, object] = {
        "title": "Sundays", "body_email": TOLD.replace("My friend Marcus", "A friend"), "body_sms": "A friend rang.",
        "original": TOLD, "state": StoryState.REVIEW, "author_id": author.id, "created_at": clock.now(),
        "updated_at": clock.now(), "consent_sms": False, "consent_email": False, "consent_page": False,
    }  # fmt: skip
    with db.transaction() as session:
        made = Story(**values | more)
        session.add(made)
    return made


def story() -> Story:
    with db.reading() as session:
        return session.scalars(select(Story)).one()


def page_of(asked: Story) -> str:
    return path_of(member_links.approve_url(asked.id, asked.author_id or asked.id, str(asked.asked_mark)[:16]))


def test_the_author_says_yes_on_a_page_and_a_get_says_nothing(console: FlaskClient, client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    where = f"/console/stories/{told(ana).id}"
    assert submit(console, where, {}, to=f"{where}/ask").status_code == 302
    here = page_of(story())
    page = client.get(here)
    assert "A friend rang on Sundays." in page.text
    assert "Marcus" not in page.text
    assert page.headers["Cache-Control"].startswith("no-store")
    assert story().state == StoryState.AWAITING_AUTHOR
    none = submit(client, here, {"do": "yes", "named": "initial"})
    assert none.status_code == 422
    assert "at least one way" in none.text
    form = {"do": "yes", "ways": ["email", "page"], "found": "1", "named": "initial", "until": "year"}
    assert "Noted: yes to exactly these words" in submit(client, here, form).text
    said = story()
    assert (said.consent_sms, said.consent_email, said.consent_page, said.consent_found) == (False, True, True, True)
    assert (said.attribution, said.author_name, said.state) == (Attribution.INITIAL, "A", StoryState.REVIEW)
    assert said.consent_until is not None
    shown = console.get(where).text
    assert "said yes to exactly these words on their page" in shown
    assert "You said yes to exactly these words" in client.get(here).text
    submit(console, where, {"looked": "1"}, to=f"{where}/publish")
    assert story().state == StoryState.PUBLISHED
    assert "Taken back" in submit(client, here, {"do": "back"}).text
    assert story().state == StoryState.WITHDRAWN
    assert client.get(here).status_code == 404


def test_words_that_changed_close_the_page_and_what_to_change_reaches_a_person(
    console: FlaskClient, client: FlaskClient
) -> None:
    ana = add_member("Ana", ANA, locale="es")
    with db.reading() as session:
        me = session.scalars(select(Coordinator)).one()
    asking.ask(told(ana, language="es").id, me)
    here = page_of(story())
    assert "Tus palabras" in client.get(here).text
    assert "lee" in submit(client, here, {"do": "change", "words": "Sin los domingos, por favor"}).text
    assert "Sin los domingos, por favor" in console.get(f"/console/stories/{story().id}").text
    submit(client, here, {"do": "change", "words": "Esta noche me voy a matar"})
    with db.reading() as session:
        assert session.scalars(select(Flag)).one()
        assert len(session.scalars(select(Message).where(Message.member_id == ana.id)).all()) >= 2
    desk.change(Story, story().id, body_sms="Otras palabras.")
    assert client.get(here).status_code == 409


def test_a_members_own_stories_show_days_and_no_words(client: FlaskClient) -> None:
    ana, bea = add_member("Ana", ANA), add_member("Bea", "+12025550177")
    mine, others = told(ana, state=StoryState.PUBLISHED), told(bea, title="Hers")
    here = path_of(member_links.preferences_url(ana.id, ChannelName.SMS)) + "/stories"
    page = client.get(here).text
    assert "may be read by others" in page
    assert "Sundays" not in page
    assert submit(client, here, {"story": str(others.id)}).status_code == 404
    assert submit(client, here, {"story": str(mine.id)}).status_code == 302
    with db.reading() as session:
        assert session.get_one(Story, mine.id).state == StoryState.WITHDRAWN
        assert session.get_one(Story, others.id).state == StoryState.REVIEW


def test_a_reviewer_sees_the_original_with_its_marks_and_every_change(console: FlaskClient) -> None:
    shown = console.get(f"/console/stories/{told(add_member('Ana', ANA)).id}").text
    assert '<mark class="mark-name" title="may be a name that tells who this is about">Marcus' in shown
    assert "<del> My</del><ins> A</ins> friend<del> Marcus</del>" in shown
    pieces = differences.words("one two three", "one four three ")
    assert "".join(text for piece, text in pieces if piece != "gone") == "one four three "
    assert "".join(text for piece, text in pieces if piece != "new") == "one two three"


def test_a_kind_no_is_chosen_or_written_and_reaches_the_author(enter: Enter) -> None:
    console, ana = enter("coordinator"), add_member("Ana", ANA)
    where = f"/console/stories/{told(ana).id}"
    empty = submit(console, where, {"words": "own", "own": " "}, to=f"{where}/decline")
    assert empty.status_code == 422
    assert "Write a few words to its author" in empty.text
    assert submit(console, where, {"words": "declined_later"}, to=f"{where}/decline").status_code == 302
    assert story().state == StoryState.DECLINED
    with db.reading() as session:
        assert [m.template for m in session.scalars(select(Message))] == ["declined_later"]


def test_a_page_is_found_by_search_engines_only_where_its_author_agreed(client: FlaskClient) -> None:
    made = told(add_member("Ana", ANA), state=StoryState.PUBLISHED, consent_page=True, author_name="Ana")
    here = f"/s/{links.sign('story', made.id)}"
    page = client.get(here)
    assert 'content="noindex' in page.text
    assert page.headers["X-Robots-Tag"].startswith("noindex")
    assert '<meta property="og:title" content="Sundays">' in page.text
    assert "og:description" not in page.text
    assert "Ana" not in page.text.replace(TOLD, "")  # anonymous
    desk.change(Story, made.id, consent_found=True)
    found = client.get(here)
    assert "noindex" not in found.text
    assert "X-Robots-Tag" not in found.headers


def test_whether_it_helped_is_shown_from_five_on(console: FlaskClient) -> None:
    made = told(add_member("Ana", ANA), state=StoryState.PUBLISHED)
    where = f"/console/stories/{made.id}"
    for number in range(11):
        reader = add_member(f"R{number}", f"+1202555{number:04d}")
        with db.transaction() as session:
            session.add(StoryRead(story_id=made.id, member_id=reader.id, at=clock.now(), helped=number < 6))
        shown = console.get(where).text
        assert ("said by fewer than 5" in shown) == (number < 4)
    assert "it helped 5 or more, of about 10" in shown


def test_topics_that_members_leave_out_are_chosen_on_their_page(client: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    here = path_of(member_links.preferences_url(ana.id, ChannelName.SMS))
    assert "No stories about" not in client.get(here).text  # there are none yet
    told(ana, state=StoryState.PUBLISHED, topics="grief,family")
    page = client.get(here).text
    assert "No stories about" in page
    form = {
        "do": "save", "on": ["stories:sms"], "weekly_cap": "3", "window_from": "600", "window_to": "1080",
        "left_out_shown": "1", "left_out": ["grief"],
    }  # fmt: skip
    assert submit(client, here, form).status_code == 302
    assert "Saved what stories should not be about." in client.get(here).text
    with db.reading() as session:
        assert [row.topic for row in session.scalars(select(TopicLeftOut))] == ["grief"]
    wrong = submit(client, here, form | {"left_out": ["nonsense"]})
    assert wrong.status_code == 422
    assert "Choose from the list." in wrong.text
    submit(client, here, form | {"left_out": []})
    with db.reading() as session:
        assert session.scalars(select(TopicLeftOut)).all() == []


def test_a_rotation_of_stories_is_set_up_beside_the_check_ins(console: FlaskClient) -> None:
    new = console.get("/console/campaigns/rhythms/new?kind=story")
    assert "the next published story in their language" in new.text
    form = {
        "name": "A story", "every": "week", "days": ["2"], "local_time": "12:00", "channels": ["sms"],
        "sms_en_body": "{{ story_body }}", "circle_id": "",
    }  # fmt: skip
    made = submit(console, "/console/campaigns/rhythms/new?kind=story", form)
    assert made.status_code == 302, made.text
    assert "Hope stories" in console.get("/console/campaigns/rhythms").text
