"""A place to say it, told as stories: by text, by mail and on the page; who reads it, what comes of it, how it goes."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import campaigns, held, housekeeping, leaving, safety
from service.actions.conversations.on_page import Heard
from service.actions.vents import desk, forgetting, page
from service.errors import NotFound
from service.models.content import Story
from service.models.conversations import WebhookEvent
from service.models.gatherings import Circle
from service.models.giving import Gift, Giving, Writing
from service.models.members import MemberState
from service.models.staff import AuditEntry, Role
from service.models.vents import Vent, VentPiece
from tests.flows.replies import ANA, BEN, MAIL, later, of, on_duty
from tests.flows.talk import EMAIL, NOON, SMS, Talk, flags, messages, waits
from tests.flows.test_checkins import person
from tests.flows.test_writing import every
from tests.flows.world import add_circle, add_member
from tests.web.desk import give_circle

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
FIRST = "My sister called again today and I just nodded at everything"
SECOND = "and then I sat in the car until the street lamps came on"


def vents() -> list[Vent]:
    with db.reading() as session:
        return list(session.scalars(select(Vent).order_by(Vent.opened_at, Vent.id)))


def raw() -> list[str]:
    with db.reading() as session:
        return [r for r in session.scalars(select(WebhookEvent.raw)) if r]


def said(talk: Talk) -> None:
    assert talk.text(ANA, "VENT") == ["vent_open"]
    assert talk.text(ANA, FIRST) == ["vent_heard"]


def test_vent_by_text_from_the_first_word_to_the_last(talk: Talk) -> None:
    wren = person()
    ana = add_member("Ana", ANA)
    assert talk.text(ANA, "Vent") == ["vent_open"]
    assert "A volunteer may read it. We answer if you ask, or if we are worried about you." in talk.last.body
    assert talk.text(ANA, "B") == ["vent_kept"]  # a week
    assert talk.text(ANA, FIRST) == ["vent_heard"]
    assert "Tuesday 12 May" in talk.last.body
    assert talk.text(ANA, SECOND) == []  # thanked once, and never with advice
    assert talk.text(ANA, "so tired") == []
    vent = vents()[0]
    assert vent.words == f"{FIRST} {SECOND} so tired"
    assert not waits(ana)  # it is in no folder that asks for a reply, but it waits until a person has read it
    with db.reading() as session:
        assert desk.unread(session, wren).count == 1
        assert [line.vent.id for line in desk.listed(session, wren)] == [vent.id]
    desk.open_(vent.id, wren)
    assert [(out.to, out.template) for out in talk.deliver()] == [(ANA, "vent_read")]
    desk.open_(vent.id, wren)
    assert talk.deliver() == []  # once
    with db.reading() as session:
        assert desk.unread(session, wren).count == 0
        trail = session.scalars(select(AuditEntry).where(AuditEntry.action == "vent.read")).all()
        assert [(entry.actor, entry.subject_id) for entry in trail] == [(str(wren.id), str(vent.id))] * 2
    assert talk.text(ANA, "it is just so much at the moment") == []
    with db.reading() as session:
        assert desk.unread(session, wren).count == 1  # what was added is unread again
    assert talk.text(ANA, "DONE") == ["vent_closed"]
    talk.text(ANA, "is there a meeting this week on Tuesday?")
    assert waits(ana)
    assert "meeting" not in vents()[0].words
    with clock.frozen_at(NOON + timedelta(days=7, minutes=1)):
        forgetting.forget_old()
        assert every(Vent) == []  # type: ignore[type-var]
        kept = [m.body for m in messages() if m.direction == "in"]
        assert not any(FIRST in words or SECOND in words for words in kept)
        assert "is there a meeting this week on Tuesday?" in kept
        assert not any(FIRST in words for words in raw())


def test_vent_by_mail_in_spanish(talk: Talk) -> None:
    wren = person()
    eva = add_member("Eva", None, MAIL, locale="es-MX", country="MX")
    words = "Hoy otra vez me dijeron que exagero y me quedé sin palabras"
    assert talk.mail(MAIL, words, subject="Desahogo") == ["vent_heard"]
    assert "Gracias por decirlo" in talk.last.body
    with later(hours=3):
        assert talk.mail(MAIL, "Y luego nadie pregunta cómo estoy de verdad.", subject="Desahogo") == []
    vent = vents()[0]
    assert vent.pieces == 2
    assert vent.words.startswith(words)
    assert not waits(eva)
    with later(hours=8):
        desk.open_(vent.id, wren)  # they wrote long ago: at an hour that suits them, by the rules of a campaign
        campaigns.start_due()
        assert ["leer lo que escribiste" in out.body or "leído" in out.body for out in talk.deliver()] == [True]
        assert talk.mail(MAIL, "quiero respuesta") == ["vent_answer"]
        assert waits(eva)
        assert vents()[0].answer_wanted_at is not None


@ONE
def test_for_how_long_it_is_kept(talk: Talk) -> None:
    add_member("Ana", ANA)
    said(talk)
    assert vents()[0].forget_at == NOON + timedelta(days=14)
    for words, days in (("VENT KEEP 1", 1), ("vent keep 30 days", 30), ("vent keep 99", 30)):
        assert talk.text(ANA, words) == ["vent_kept"]
        assert vents()[0].forget_at == NOON + timedelta(days=days)
    assert talk.text(ANA, "A") == ["cannot_place"] or vents()[0].keep_days == 30  # the letters were another question's
    with later(days=29):
        assert housekeeping.run().get("vents") is None
        assert len(vents()) == 1
    with later(days=31):
        assert housekeeping.run()["vents"] == 1
        assert vents() == []


@ONE
@pytest.mark.parametrize(
    "words", ["leave me alone", "leave me alone, all of you", "just leave me alone", "I want everyone to let me be",
              "basta ya", "dejame en paz"],
)  # fmt: skip
def test_words_that_are_no_stop_silence_nobody_in_a_vent(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    said(talk)
    talk.text(ANA, words)
    found = of(ana)
    assert (found.state, found.paused_until) == (MemberState.ACTIVE, None)
    assert words in vents()[0].words
    assert waits(ana)  # a person looks whether it was meant


@ONE
@pytest.mark.parametrize(
    "words", ["STOP", "Stop.", "It was all too much today\nSTOP", "please stop texting me", "unsubscribe"]
)
def test_a_stop_is_a_stop_in_a_vent_as_well(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    said(talk)
    answers = talk.text(ANA, words)
    assert of(ana).state == MemberState.LEFT
    assert [a for a in answers if not a.startswith("risk")] in (["stopped"], ["stopped_with_line"])


@ONE
def test_outside_a_vent_the_same_words_are_what_they_always_were(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    said(talk)
    with later(hours=2):  # a quiet hour closes it
        talk.text(ANA, "just leave me alone")
        assert of(ana).state == MemberState.LEFT


@ONE
def test_risk_in_a_vent_is_answered_and_stays_until_somebody_has_closed_it(talk: Talk) -> None:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    talk.text(ANA, "VENT")
    talk.text(ANA, "A")
    words = "I want to kill myself tonight, I have the pills here"
    assert talk.text(ANA, words) == ["risk_answer"]
    assert talk.pages() == ["page_staff"]
    assert waits(ana)
    assert vents()[0].words == words  # nothing is lost
    desk.open_(vents()[0].id, maya)
    assert "vent_read" not in [out.template for out in talk.deliver()]
    with later(days=3):
        assert forgetting.forget_old() == 0
        assert len(vents()) == 1
        safety.acknowledge(flags()[0].id, maya.id)
        safety.clear(flags()[0].id, maya.id, "We talked; she is with her sister.")
        assert forgetting.forget_old() == 1
        assert words not in [m.body for m in messages()]


@ONE
def test_offer_makes_a_story_or_a_feeling_of_it_only_after_pass(talk: Talk) -> None:
    add_member("Ana", ANA)
    assert talk.text(ANA, "OFFER") != ["vent_offer"]  # nothing was said yet
    said(talk)
    assert talk.text(ANA, "Offer") == ["vent_offer"]
    assert every(Writing) == []
    assert talk.text(ANA, "b") == ["writing_so_far"]
    writing = every(Writing)[0]
    assert (writing.kind, writing.words) == (Giving.FEELING, FIRST)
    assert every(Gift) == []
    assert talk.text(ANA, "PASS") == ["feeling_passed"]
    assert every(Gift)[0].original == FIRST
    assert len(vents()) == 1  # the vent itself goes on its own day
    assert talk.text(ANA, "ofrecer") == ["vent_offer"]
    assert talk.text(ANA, "A") == ["writing_so_far"]
    assert talk.text(ANA, "ofrecer") == ["vent_offer"]
    assert talk.text(ANA, "B") == ["writing_open"]  # the story is not thrown away for it
    assert talk.text(ANA, "PASS") == ["story_passed"]
    assert every(Story)[0].original == FIRST
    talk.text(ANA, "VENT")
    talk.text(ANA, "it goes on and on, and everybody smiles at me. " * 9)
    talk.text(ANA, "OFFER")
    assert talk.text(ANA, "B") == ["vent_offer_long"]


@ONE
def test_oops_and_drop_delete_it_at_once(talk: Talk) -> None:
    add_member("Ana", ANA)
    for word, answer in (("OOPS", "oops_undone"), ("DROP", "vent_gone"), ("borrar", "vent_gone")):
        said(talk)
        assert talk.text(ANA, word) == [answer]
        assert vents() == []
        assert FIRST not in [m.body for m in messages()]


@ONE
@pytest.mark.parametrize("words", ["the vent in my room is broken", "done", "ASK FOR ANSWER", "venting machine", "A"])
def test_the_words_open_and_do_nothing_elsewhere(talk: Talk, words: str) -> None:
    add_member("Ana", ANA)
    talk.text(ANA, words)
    assert vents() == []


@ONE
def test_an_empty_vent_is_answered_kindly_and_leaves_nothing(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    talk.text(ANA, "I need to vent")
    assert talk.text(ANA, "listo") == ["vent_closed"]
    assert "whenever you like" in talk.last.body
    with db.reading() as session:
        assert desk.listed(session, wren) == []
    with later(days=2):
        forgetting.forget_old()
        assert vents() == []


@ONE
def test_a_person_comes_first_and_a_circle_coordinator_reads_only_their_own(talk: Talk) -> None:
    ana = add_member("Ana", ANA, circle=add_circle())
    said(talk)
    stranger, owner = person(Role.CIRCLE_COORDINATOR, "Sol"), person(Role.CIRCLE_COORDINATOR, "Lou")
    with db.reading() as session:
        give_circle(owner, session.scalars(select(Circle)).one())
        assert desk.listed(session, stranger) == []
    with pytest.raises(NotFound):
        desk.open_(vents()[0].id, stranger)
    desk.open_(vents()[0].id, owner)
    desk.to_inbox(vents()[0].id, owner)
    assert waits(ana)


def test_on_the_page_it_is_judged_kept_and_deleted_the_same_way(talk: Talk) -> None:
    on_duty()
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN, "ben@example.org")
    told = page.say(ben.id, EMAIL, FIRST, 7)
    assert (told.heard, told.until) == (Heard.KEPT, NOON + timedelta(days=7))
    assert page.say(ben.id, EMAIL, FIRST, 7).heard == Heard.KEPT
    assert len(vents()) == 1  # one tap too many
    assert not waits(ben)
    assert page.say(ben.id, EMAIL, "leave me alone, all of you, I said it a hundred times", 14).heard in (
        Heard.KEPT, Heard.RISK,
    )  # fmt: skip
    assert of(ben).state == MemberState.ACTIVE
    assert waits(ben)
    assert [vent.words for vent in held.held(ben.id).vents][-1] == FIRST
    assert page.forget(ana.id, vents()[0].id)  # somebody else's: nothing happens
    assert len(vents()) == 2
    assert page.say(ana.id, SMS, "I want to kill myself tonight", 1).heard == Heard.RISK
    assert not page.forget(ana.id, vents()[-1].id)  # it goes once the flag is closed
    leaving.erase(ana.id, "cli")
    leaving.erase(ben.id, "cli")
    assert vents() == []
    with db.reading() as session:
        assert session.scalars(select(VentPiece)).all() == []
