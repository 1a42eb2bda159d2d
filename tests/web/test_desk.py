"""The desk in the console: one queue, the original beside the edited words, yes, a question, a kind no, and who may."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service import clock, db
from service.actions.giving import desk as queue
from service.actions.giving import differences
from service.models.content import Attribution, Story, StoryState
from service.models.conversations import Message
from service.models.gatherings import CircleMembership
from service.models.giving import Gift, GiftState, Giving
from service.models.members import ChannelName, Member
from service.models.staff import AuditEntry
from tests.flows import circles
from tests.flows.world import add_member
from tests.web import desk
from tests.web.conftest import Enter
from tests.web.desk import ANA, BEN
from tests.web.pages import submit

pytestmark = [pytest.mark.parametrize("database", ["sqlite"], indirect=True), pytest.mark.usefixtures("valkey")]
STEP = "I opened the letters. My friend Marcus rang."


def give(member: Member, words: str = STEP, kind: Giving = Giving.STEP, hours: int = 1, **more: object) -> UUID:
    with db.transaction() as session:
        circle = session.scalar(
            select(CircleMembership.circle_id).where(CircleMembership.member_id == member.id).limit(1)
        )
        gift = Gift(
            id=db.uuid7(), kind=kind, member_id=member.id, circle_id=circle, channel=ChannelName.SMS, original=words,
            body=words, passed_at=clock.now() - timedelta(hours=hours), **more,
        )  # fmt: skip
        session.add(gift)
    return gift.id


def tell_story() -> UUID:
    now = clock.now()
    with db.transaction() as session:
        story = Story(
            id=db.uuid7(), title="Small mornings", attribution=Attribution.ANONYMOUS, body_email="It got better.",
            body_sms="", state=StoryState.REVIEW, created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(story)
    return story.id


def gift(id_: UUID) -> Gift:
    with db.reading() as session:
        return session.get_one(Gift, id_)


def where(id_: UUID) -> str:
    return f"/console/desk/{id_}"


def lines(page: str) -> list[str]:
    """What stands in the queue, by the ids in its addresses."""
    return re.findall(r'class="desk-line[^>]* href="[^"]*/([0-9a-f-]{36})', page)


def test_the_queue_has_what_hurts_first_then_what_waited_longest_and_shows_no_words(console: FlaskClient) -> None:
    assert "Nothing waits at the desk" in console.get("/console/desk/").text
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    kitchen, steady, _ = circles.three_circles()
    circles.put_in(kitchen, ana)
    circles.put_in(steady, ben)
    new, old = give(ana, hours=1), give(ben, hours=9)
    hard = give(ana, hours=2, mentions_self_harm=True, kind=Giving.NOTE)
    asked = give(ana, hours=20, state=GiftState.ASKED, asked_at=clock.now() - timedelta(hours=3), question="May we?")
    story = tell_story()
    page = console.get("/console/desk/").text
    assert lines(page) == [str(i) for i in (hard, old, new, story, asked)]
    assert "Marcus" not in page
    assert f'href="/console/stories/{story}"' in page
    assert '<span class="figure-number">4</span> things wait at the desk' in console.get("/console/today/").text
    assert 'id="waiting-side-desk">4<' in page
    desk.change(Member, ben.id, held_at=clock.now())
    assert lines(console.get("/console/desk/").text)[:2] == [str(old), str(hard)]
    assert lines(console.get("/console/desk/?kind=note").text) == [str(hard)]
    assert lines(console.get(f"/console/desk/?circle={steady.id}").text) == [str(old)]
    assert lines(console.get(f"/console/desk/?after={new}").text) == [str(story), str(asked)]
    desk.text(ANA, "Yes, please leave it out")  # they answer, so it waits for a person again
    assert lines(console.get("/console/desk/").text)[2] == str(asked)
    me = desk.coordinator("coordinator@example.org")
    with db.reading() as session:
        pages = [queue.queue(session, me, limit=2)]
        while more := queue.queue(session, me, after=pages[-1][-1].id, limit=2):
            pages.append(more)
    assert [each.id for page_ in pages for each in page_] == [old, hard, asked, new, story]


def test_the_words_are_edited_beside_the_original_looked_at_and_approved(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    id_, other = give(ana, hours=3), give(ana, "I went out")
    page = console.get(where(id_)).text
    assert '<mark class="mark-name"' in page
    assert "may be a name" in page
    assert f'href="/console/desk/{other}" data-key="j"' in page
    with db.reading() as session:
        assert session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == str(id_))).all() == [
            "gift.read"
        ]
    refused = submit(console, where(id_), {"body": STEP}, to=f"{where(id_)}/approve")
    assert refused.status_code == 422
    assert "Look at each marked place first" in refused.text
    edited = {"body": "I opened the letters. A friend rang."}
    token = {"X-CSRFToken": page.split('name="csrf_token" value="')[1].split('"')[0], "HX-Request": "true"}
    live = console.post(f"{where(id_)}/look", data=edited, headers=token).text
    assert "36 of 300 letters, 1 segment" in live
    assert "Marcus" in live.split("<del>")[1].split("</del>")[0] + live.split("</del>")[1]
    assert "<html" not in live
    assert 'name="looked"' not in live
    whole = submit(console, where(id_), edited, to=f"{where(id_)}/look").text  # the same without scripts
    assert "A friend rang." in whole
    assert gift(id_).body == STEP
    assert submit(console, where(id_), edited, to=f"{where(id_)}/edit").status_code == 302
    assert gift(id_).body == edited["body"]
    done = submit(console, where(id_), edited, to=f"{where(id_)}/approve")
    assert done.location == where(other)
    assert gift(id_).state == GiftState.APPROVED
    again = submit(console, where(other), edited, to=f"{where(id_)}/approve")
    assert again.status_code == 409
    assert "already" in again.text
    too_long = submit(console, where(other), {"body": "so " * 200}, to=f"{where(other)}/approve")
    assert too_long.status_code == 409
    assert "room for 300" in too_long.text
    assert "so so so" in too_long.text  # nothing typed is lost


def test_a_second_person_reads_where_self_harm_is_spoken_of(enter: Enter) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    iris, noor = enter("coordinator", "iris@example.org", "Iris"), enter("coordinator", "noor@example.org", "Noor")
    words = {"body": "Years ago there was a suicide attempt. Today I told my sister.", "looked": "1"}
    id_ = give(ana, words["body"], mentions_self_harm=True)
    assert "two people read" in iris.get(where(id_)).text
    assert submit(iris, where(id_), words, to=f"{where(id_)}/approve").status_code == 302
    assert "You gave the first yes" in iris.get(where(id_)).text
    assert submit(iris, where(id_), words, to=f"{where(id_)}/approve").status_code == 409
    assert "Iris read these words first" in noor.get(where(id_)).text
    assert 'id="waiting-side-desk" hidden>0<' in iris.get("/console/desk/").text  # it waits for others now
    assert "second reader" in noor.get("/console/desk/").text
    assert submit(noor, where(id_), words, to=f"{where(id_)}/approve").status_code == 302
    assert gift(id_).state == GiftState.APPROVED


def test_the_author_is_asked_and_their_answer_can_be_taken(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    id_ = give(ana)
    assert submit(console, where(id_), {"question": " "}, to=f"{where(id_)}/ask").status_code == 422
    asked = submit(console, where(id_), {"question": "May we leave out the name?"}, to=f"{where(id_)}/ask")
    assert asked.status_code == 302
    desk.text(ANA, "Sure: an old friend rang")
    page = console.get(where(id_)).text
    assert "May we leave out the name?" in page
    assert "Sure: an old friend rang" in page
    with db.reading() as session:
        answer = session.scalars(select(Message).where(Message.direction == "in")).one()
    taken = console.get(f"{where(id_)}?words={answer.id}").text
    assert "Sure: an old friend rang</textarea>" in taken
    assert gift(id_).body == STEP  # looking at it has changed nothing


def test_a_kind_no_shows_the_words_in_the_authors_language_first(console: FlaskClient) -> None:
    ana = add_member("Ana", ANA, locale="es")
    id_ = give(ana, language="es")
    page = console.get(where(id_)).text
    assert "Gracias por tu paso. Alguien del equipo" in page
    assert "no circle of its author" in page
    assert submit(console, where(id_), {"words": "rude"}, to=f"{where(id_)}/decline").status_code == 422
    assert submit(console, where(id_), {"words": "declined_later"}, to=f"{where(id_)}/decline").status_code == 302
    assert gift(id_).state == GiftState.DECLINED
    with db.reading() as session:
        assert [m.template for m in session.scalars(select(Message))] == ["declined_later"]
    assert 'name="words"' not in console.get(where(id_)).text


def test_circle_coordinators_see_their_own_circles_only(enter: Enter) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    kitchen, steady, _ = circles.three_circles()
    circles.put_in(kitchen, ana)
    circles.put_in(steady, ben)
    hers, other, everybody = give(ana), give(ben), give(add_member("Cleo", "+12025550167"))
    tell_story()
    lena = enter("circle_coordinator")
    desk.give_circle(desk.coordinator("circle_coordinator@example.org"), kitchen)
    page = lena.get("/console/desk/").text
    assert lines(page) == [str(hers)]
    assert 'id="waiting-side-desk">1<' in page
    for id_ in (other, everybody):
        assert lena.get(where(id_)).status_code == 404
        for act in ("approve", "ask", "decline", "edit"):
            answer = submit(lena, where(hers), {"body": "x", "question": "x", "words": ""}, to=f"{where(id_)}/{act}")
            assert answer.status_code == 403
        assert gift(id_).state == GiftState.REVIEW
    assert submit(lena, where(hers), {"body": "I went out"}, to=f"{where(hers)}/approve").status_code == 302


@pytest.mark.usefixtures("database")
def test_what_changed_holds_both_texts_whole() -> None:
    for before, after in [
        ("", "new"), ("gone", ""), ("My friend Marcus rang.", "A friend rang."), ("¿Y qué?  Sí…", "¿Y qué? No…"),
        ("a\n\nb", "a b c"),
    ]:  # fmt: skip
        pieces = differences.between(before, after)
        assert "".join(p.words for p in pieces if p.kind != "new") == before
        assert "".join(p.words for p in pieces if p.kind != "gone") == after
    rang = differences.between("My friend Marcus rang.", "A friend rang.")
    assert [(p.kind, p.words) for p in rang] == [
        ("gone", "My"), ("new", "A"), ("same", " friend "), ("gone", "Marcus "), ("same", "rang."),
    ]  # fmt: skip
    assert [p.kind for p in differences.between("all of it", "other words here")] == ["gone", "new"]
