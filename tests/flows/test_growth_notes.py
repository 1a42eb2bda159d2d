"""Small steps and how somebody said it: passed on, decided by a person, and in their circle's week."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import leaving
from service.actions.giving import deciding
from service.errors import Conflict, Forbidden, Invalid
from service.models.gatherings import CircleStaff
from service.models.giving import Gift, GiftState
from service.models.members import Member
from service.models.staff import AuditEntry, Coordinator, Role
from tests.flows import circles
from tests.flows.talk import NOON, Talk, messages, waits
from tests.flows.test_replies import ANA, BEN
from tests.flows.world import add_member

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
STEP = "I opened the letters that lay there since May"


def coordinator(name: str = "Iris", role: Role = Role.COORDINATOR) -> Coordinator:
    with db.transaction() as session:
        person = Coordinator(
            id=db.uuid7(), email=f"{name.lower()}@hearthline.example", name=name, role=role, created_at=NOON
        )
        session.add(person)
    return person


def gift() -> Gift:
    """The newest one."""
    with db.reading() as session:
        return session.scalars(select(Gift).order_by(Gift.passed_at.desc(), Gift.id.desc()).limit(1)).one()


def give(talk: Talk, phone: str, word: str, words: str, yes: str = "PASS") -> UUID:
    talk.text(phone, word)
    talk.text(phone, words)
    talk.text(phone, yes)
    return gift().id


def left(talk: Talk) -> list[str]:
    return [out.template or out.body for out in talk.deliver()]


def hold(member: Member) -> None:
    with db.transaction() as session:
        session.get_one(Member, member.id).held_at = clock.now()


def audit() -> list[str]:
    with db.reading() as session:
        wanted = select(AuditEntry).where(AuditEntry.subject_type == "Gift").order_by(AuditEntry.id)
        return [entry.action for entry in session.scalars(wanted)]


def test_a_yes_is_refused_until_everything_about_it_is_right_and_then_told_once(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN", "Grief"), ana)
    iris = coordinator()
    id_ = give(talk, ANA, "STEP", f"{STEP}, then I rang my friend Marcus")
    with pytest.raises(Invalid):
        deciding.approve(id_, iris, gift().body)  # a name is marked, and nobody has looked
    with pytest.raises(Conflict, match="No words are left"):
        deciding.approve(id_, iris, " ")
    with pytest.raises(Conflict, match="room for 300"):
        deciding.approve(id_, iris, "and so " * 50, looked=True)
    assert gift().state == GiftState.REVIEW
    assert deciding.approve(id_, iris, f" {STEP}, then I rang a friend ") == GiftState.APPROVED
    assert gift().original.endswith("Marcus")
    assert gift().body == f"{STEP}, then I rang a friend"
    assert left(talk) == ["gift_in"]
    with pytest.raises(Conflict, match="already"):
        deciding.approve(id_, iris, STEP)
    assert left(talk) == []
    assert audit() == ["gift.approve"]


@ONE
def test_accents_and_emoji_are_not_what_makes_words_too_long(talk: Talk) -> None:
    ana = add_member("Ana", ANA, locale="es")
    circles.put_in(circles.circle("La Mesa", "MESA", language="es"), ana)
    words = ("Llamé a mi hermana después de dos años. " * 8)[:290].strip() + " 🙂"
    id_ = give(talk, ANA, "PASITO", words, "PASALO")
    assert deciding.fit(gift().kind, words).segments == 5  # what it costs is shown all the same
    assert deciding.approve(id_, coordinator(), words, looked=True) == GiftState.APPROVED


@ONE
def test_where_self_harm_is_spoken_of_two_people_read_the_same_words(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    iris, noor = coordinator(), coordinator("Noor")
    id_ = give(talk, ANA, "STEP", STEP)
    words = "Years ago I lived through a suicide attempt, and today I told my sister"
    with db.transaction() as session:  # words with risk are answered by a person, and may become a gift after that
        row = session.get_one(Gift, id_)
        row.original = row.body = words
    assert deciding.approve(id_, iris, words, looked=True) == GiftState.REVIEW
    with pytest.raises(Conflict, match="You were the first"):
        deciding.approve(id_, iris, words, looked=True)
    assert deciding.approve(id_, noor, f"{words}.", looked=True) == GiftState.REVIEW  # other words: read anew
    assert gift().first_reader == noor.id
    assert left(talk) == []
    assert deciding.approve(id_, iris, f"{words}.", looked=True) == GiftState.APPROVED
    assert audit() == ["gift.first_yes", "gift.first_yes", "gift.approve"]


@ONE
def test_it_rests_while_its_author_is_under_a_flag_and_for_good_when_they_died(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    iris = coordinator()
    id_ = give(talk, ANA, "STEP", STEP)
    hold(ana)
    with pytest.raises(Conflict, match="safety flag"):
        deciding.approve(id_, iris, STEP)
    leaving.mark_died(ana.id, iris.id)
    with pytest.raises(Conflict, match="no longer here"):
        deciding.approve(id_, iris, STEP)
    deciding.decline(id_, iris, "declined_kept")
    assert left(talk) == []  # nobody writes to somebody who died


@ONE
def test_the_author_is_asked_and_their_new_words_can_be_taken(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    iris = coordinator()
    id_ = give(talk, ANA, "STEP", "I rang Marcus at 202-555-0199")
    with pytest.raises(Invalid):
        deciding.ask(id_, iris, "  ")
    deciding.ask(id_, iris, "May we leave out the name and the number?")
    assert left(talk) == ["May we leave out the name and the number?"]
    assert gift().state == GiftState.ASKED
    with clock.frozen_at(NOON + timedelta(hours=1)):
        assert talk.text(ANA, "Yes: I rang an old friend") == []  # it goes to the person who asked
    assert waits(ana)
    with db.reading() as session:
        assert [m.body for m in deciding.answers(session, gift())] == ["Yes: I rang an old friend"]
    assert deciding.approve(id_, iris, "I rang an old friend") == GiftState.APPROVED
    assert [m.coordinator_id for m in messages() if m.body.startswith("May we")] == [iris.id]
    assert audit() == ["gift.ask", "gift.approve"]


@ONE
@pytest.mark.parametrize(
    ("locale", "word", "yes", "said"), [("en", "STEP", "PASS", "step"), ("es", "PASITO", "PASALO", "paso")]
)
def test_a_no_is_kind_or_silent(talk: Talk, locale: str, word: str, yes: str, said: str) -> None:
    add_member("Ana", ANA, locale=locale)
    iris = coordinator()
    for words in (*deciding.KIND_WORDS, None):
        id_ = give(talk, ANA, word, STEP, yes)
        with pytest.raises(Invalid):
            deciding.decline(id_, iris, "too rude")
        deciding.decline(id_, iris, words)
        assert left(talk) == ([words] if words else [])
        assert gift().state == GiftState.DECLINED
        if words:
            assert said in talk.last.body
    assert "gift.decline" in audit()


@ONE
def test_circle_coordinators_decide_for_their_own_circles(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    kitchen, steady, _ = circles.three_circles()
    circles.put_in(kitchen, ana)
    circles.put_in(steady, ben)
    lena = coordinator("Lena", Role.CIRCLE_COORDINATOR)
    with db.transaction() as session:
        session.add(CircleStaff(circle_id=kitchen.id, coordinator_id=lena.id))
    hers, other = give(talk, ANA, "STEP", STEP), give(talk, BEN, "STEP", STEP)
    everybody = give(talk, ANA, "CHEER", "It gets easier to begin")
    with db.transaction() as session:
        session.get_one(Gift, everybody).circle_id = None
    for id_ in (other, everybody):
        with pytest.raises(Forbidden):
            deciding.approve(id_, lena, STEP)
        with pytest.raises(Forbidden):
            deciding.ask(id_, lena, "Hello?")
        with pytest.raises(Forbidden):
            deciding.decline(id_, lena, None)
    assert deciding.approve(hers, lena, STEP) == GiftState.APPROVED
