"""Notes from one member to another, told as stories: written, chosen for, carried, thanked for, taken back."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service import db
from service.actions import campaigns, consent, held, leaving, preferences
from service.actions.delivery import claims, mail_words, writing
from service.actions.giving import carrying, deciding, matching, wishes
from service.actions.report import given
from service.errors import Conflict, Forbidden
from service.models.campaigns import Campaign, CampaignContent, CampaignState, Delivery
from service.models.encouragement import CarriedNote, NoteWish
from service.models.giving import Gift, GiftState
from service.models.members import ChannelName, Member, MemberState, Topic
from service.models.staff import Coordinator, Role
from tests.flows.replies import ANA, BEN, MAIL, later
from tests.flows.talk import NOON, SMS, Talk, waits
from tests.flows.test_checkins import person
from tests.flows.test_writing import every
from tests.flows.world import add_member

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
CAROL = "+12025550187"
WORDS = "I remember my first week here. It gets easier to come in."


def change(model: Any, id_: Any, **values: Any) -> None:
    with db.transaction() as session:
        key = model.member_id if model is NoteWish else model.id
        session.execute(update(model).where(key == id_).values(**values))


def wants(member: Member) -> Member:
    with db.transaction() as session:
        wishes.receive(session, member.id, True, "test")
    return member


def written(talk: Talk, phone: str = ANA, words: str = WORDS) -> Gift:
    """A note as it lies before a coordinator."""
    for said in ("CHEER", words, "PASS"):
        talk.text(phone, said)
    return every(Gift)[-1]


def approved(talk: Talk, wren: Coordinator, phone: str = ANA, words: str = WORDS) -> Gift:
    gift = written(talk, phone, words)
    deciding.approve(gift.id, wren, gift.body, looked=True)
    return gift


def suggested(wren: Coordinator) -> dict[UUID, list[str]]:
    with db.reading() as session:
        found = matching.suggest(session, carrying.waiting(session, wren))
        return {gift_id: [one.first_name for one in people] for gift_id, people in found.items()}


def leave(talk: Talk) -> list[str]:
    """Let what was begun leave now; the words of it."""
    campaigns.start_due()
    gone = [out.body for out in talk.deliver()]
    campaigns.finish_done()
    carrying.settle()
    return gone


def every_note() -> list[CarriedNote]:
    with db.reading() as session:
        return list(session.scalars(select(CarriedNote).order_by(CarriedNote.chosen_at)))


def test_a_note_from_the_first_word_to_the_thanks(talk: Talk) -> None:
    wren = person()
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    assert talk.text(ANA, "CHEER") == ["note_write"]
    assert "TAKING A BREAK" in talk.last.body  # the first one says that it is a yes to giving
    talk.text(ANA, WORDS)
    assert talk.text(ANA, "PASS") == ["note_passed"]
    gift = every(Gift)[0]
    assert suggested(wren) == {}  # nobody has read it
    deciding.approve(gift.id, wren, WORDS)
    assert suggested(wren) == {gift.id: []}  # nobody has said that they would like one
    assert talk.text(BEN, "Cheer me") == ["note_wish_on"]
    assert suggested(wren) == {gift.id: ["Ben"]}
    carrying.choose(gift.id, ben.id, wren)
    assert suggested(wren) == {}
    with db.reading() as session:
        assert all(WORDS not in content.body for content in session.scalars(select(CampaignContent)))
    campaigns.start_due()
    gone = talk.deliver()
    assert [(out.to, out.body) for out in gone] == [
        (BEN, "Somebody here wrote this for you: {{ gift_words }} No need to answer. THANKS goes back to them.")
    ]
    assert "Ana" not in gone[0].body
    assert leave(talk) == []  # exactly once
    assert talk.text(BEN, "Thank you!") == ["note_thanked"]
    assert not waits(ben)
    assert leave(talk) == []  # for an hour OOPS can take it back
    with later(hours=2):
        told = leave(talk)
        assert told == ["Your note helped: somebody said thank you for it. No need to reply."]
        assert talk.left[-1].to == ANA
        assert leave(talk) == []
        assert talk.text(BEN, "gracias") != ["note_thanked"]  # once
    with db.reading() as session:
        assert [words for _, words in held.held(ben.id).notes] == [WORDS]
    assert (given.view(ana.id).notes, given.view(ana.id).thanks, given.view(ben.id).notes_read) == (1, 1, 1)


def test_by_mail_in_spanish_and_never_with_a_name(talk: Talk) -> None:
    wren = person()
    eva = wants(add_member("Eva", None, MAIL, locale="es-MX", country="MX"))
    add_member("Luz", None, "luz@example.org", locale="es")
    add_member("Ben", BEN)
    words = "La primera semana me costaba entrar. Ahora ya saludo."
    assert talk.mail("luz@example.org", words, subject="Ánimo") == ["writing_so_far"]
    assert talk.mail("luz@example.org", "PÁSALO NOMBRE", subject="Ánimo") == ["note_passed"]
    assert "Va sin tu nombre" in talk.last.body
    gift = every(Gift)[0]
    deciding.approve(gift.id, wren, words)
    assert suggested(wren) == {gift.id: ["Eva"]}
    carrying.choose(gift.id, eva.id, wren)
    campaigns.start_due()
    gone = talk.deliver()
    assert "alguien de aquí escribió esto para ti" in gone[0].body
    assert "Luz" not in gone[0].body
    assert talk.mail(MAIL, "Gracias", answers=gone[0]) == ["note_thanked"]
    with later(hours=2):
        campaigns.start_due()
        assert [(out.to, "le sirve a alguien" in out.body) for out in talk.deliver()] == [("luz@example.org", True)]


@ONE
def test_the_words_leave_as_they_were_approved_by_text_and_by_mail(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    ben = wants(add_member("Ben", BEN, "ben@example.org", both_channels=True))
    gift = approved(talk, wren, words="It gets {better}, *slowly* {% raw %}")
    carrying.choose(gift.id, ben.id, wren)
    with db.reading() as session:
        pack = writing.load_pack(session, every_note()[0].campaign_id)
        reader = writing.Reader(ben.id, "Ben", "en", "America/New_York", "US")
        assert "It gets {better}, *slowly* {% raw %} No need" in writing.text_body(pack, reader, NOON)
        mail = mail_words.compiled(pack, "en", False)
        assert mail is not None


@ONE
def test_who_is_suggested_and_who_never(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    gift = approved(talk, wren)
    people = {
        name: add_member(name, f"+120255502{n:02}", **more)
        for n, (name, more) in enumerate(
            {
                "New": {}, "Old": {}, "Spanish": {"locale": "es"}, "Unasked": {}, "Held": {"held_at": NOON},
                "Resting": {"paused_until": NOON + timedelta(days=3)}, "Grieving": {"loss_on": date(2026, 4, 20)},
                "Grieved": {"loss_on": date(2026, 2, 1)}, "Gone": {}, "Quiet": {}, "Lately": {},
            }.items()
        )
    }  # fmt: skip
    for name, one in people.items():
        if name != "Unasked":
            wants(one)
    with db.transaction() as session:
        session.execute(update(Member).where(Member.first_name.in_(["Old", "Grieved"])).values(
            joined_at=NOON - timedelta(days=200)))  # fmt: skip
        session.execute(update(NoteWish).values(receives_at=NOON - timedelta(days=30)))
        consent.stop(session, session.get_one(Member, people["Gone"].id), source="test")
        quiet = session.get_one(Member, people["Quiet"].id)
        consent.set_subscription(session, quiet, Topic.CIRCLE, ChannelName.SMS, False, source="test")
    before = approved(talk, wren, words="Another kind line for you")
    carrying.choose(before.id, people["Lately"].id, wren)
    assert suggested(wren) == {gift.id: ["New", "Old", "Grieved"]}
    for name in ("Spanish", "Unasked", "Held", "Resting", "Grieving", "Gone", "Quiet", "Lately"):
        with pytest.raises(Conflict):
            carrying.choose(gift.id, people[name].id, wren)
    # Whoever asks after a loss has asked; nobody gets two within two weeks, and no author's second one at all.
    assert talk.text("+12025550206", "CHEER ME") == ["note_wish_on"]
    assert "Grieving" in suggested(wren)[gift.id]
    with db.reading() as session:
        assert not matching.fits(session, session.get_one(Gift, gift.id), people["Lately"].id)
    with later(days=15):
        assert "Lately" not in suggested(wren)[gift.id]


@ONE
def test_a_fair_spread_over_several_notes_and_one_person_once(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    add_member("Carol", CAROL)
    ben = wants(add_member("Ben", BEN))
    dan = wants(add_member("Dan", "+12025550190"))
    first, second = approved(talk, wren), approved(talk, wren, CAROL, "You are welcome as you are.")
    both = suggested(wren)
    assert {both[first.id][0], both[second.id][0]} == {"Ben", "Dan"}
    carrying.choose(first.id, ben.id, wren)
    with pytest.raises(Conflict, match="on its way"):
        carrying.choose(first.id, dan.id, wren)
    with pytest.raises(Conflict):
        carrying.choose(second.id, ben.id, wren)
    with pytest.raises(Forbidden):
        carrying.choose(second.id, dan.id, person(Role.CIRCLE_COORDINATOR, "Sol"))


def test_taken_back_before_it_leaves_it_does_not_leave(talk: Talk) -> None:
    wren = person()
    ana, ben = add_member("Ana", ANA), wants(add_member("Ben", BEN))
    gift = approved(talk, wren)
    carrying.choose(gift.id, ben.id, wren)
    campaigns.start_due()
    batch = claims.claim("texts", 10).claimed  # a worker holds it already
    assert len(batch) == 1
    assert talk.text(ANA, "withdraw note") == ["note_withdrawn"]
    assert "goes to nobody" in talk.last.body
    assert not claims.mark_sending(batch)
    assert leave(talk) == []
    assert every(Gift)[0].state == GiftState.TAKEN_BACK
    assert (every(Gift)[0].body, every_note()) == ("", [])
    with db.reading() as session:
        assert session.scalars(select(Campaign.state)).all() == [CampaignState.CANCELLED]
    with later(days=8):  # a new one, which leaves; then it is too late
        other = approved(talk, wren, words="Come as you are, it is warm inside")
        carrying.choose(other.id, ben.id, wren)
        assert len(leave(talk)) == 1
        assert talk.text(ANA, "retirar nota") == ["note_withdrawn"]
        assert "cannot be called back" in talk.last.body
        leaving.erase(ana.id, "cli")
        assert every(Gift) == every_note() == []


@ONE
def test_it_rests_while_its_author_is_under_a_flag_and_for_good_with_them(talk: Talk) -> None:
    wren = person()
    ana, ben = add_member("Ana", ANA), wants(add_member("Ben", BEN))
    gift = approved(talk, wren)
    carrying.choose(gift.id, ben.id, wren)
    change(Member, ana.id, held_at=NOON)
    assert leave(talk) == []
    with db.reading() as session:
        assert session.scalars(select(Delivery.reason).where(Delivery.campaign_id.is_not(None))).all() == ["gift_rests"]
    with later(hours=2):
        change(Member, ana.id, held_at=None, state=MemberState.DIED)
        assert leave(talk) == []
        with db.reading() as session:
            reasons = session.scalars(select(Delivery.reason).where(Delivery.campaign_id.is_not(None))).all()
        assert reasons == ["gift_withdrawn"]
        assert suggested(wren) == {}


@ONE
def test_a_no_or_a_loss_after_the_choice_counts(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    ben, dan = wants(add_member("Ben", BEN)), wants(add_member("Dan", "+12025550190"))
    change(NoteWish, dan.id, receives_at=NOON - timedelta(days=9))
    gift = approved(talk, wren)
    carrying.choose(gift.id, ben.id, wren)
    campaigns.start_due()
    assert talk.text(BEN, "NO NOTES") == ["note_wish_off"]
    assert leave(talk) == []
    assert suggested(wren) == {gift.id: ["Dan"]}
    carrying.choose(gift.id, dan.id, wren)
    change(Member, dan.id, loss_on=NOON.date())
    assert leave(talk) == []
    with db.reading() as session:
        assert "after_loss" in session.scalars(select(Delivery.reason)).all()


@ONE
def test_one_that_reached_nobody_waits_for_somebody_again(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    ben = wants(add_member("Ben", BEN))
    gift = approved(talk, wren)
    carrying.choose(gift.id, ben.id, wren)
    campaigns.start_due()
    talk.text(BEN, "STOP")
    assert leave(talk) == []
    assert every_note() == []
    assert suggested(wren) == {gift.id: []}


@ONE
def test_givers_are_protected(talk: Talk) -> None:
    wren = person()
    ana = add_member("Ana", ANA)
    written(talk)
    assert talk.text(ANA, "CHEER") == ["note_later"]  # one waits to be read
    assert "still with a volunteer" in talk.last.body
    deciding.approve(every(Gift)[0].id, wren, WORDS)
    assert talk.text(ANA, "CHEER") == ["note_write"]
    assert "TAKING A BREAK" not in talk.last.body  # said once
    talk.text(ANA, "It was raining on my first day, too")
    talk.text(ANA, "PASS")
    assert talk.text(ANA, "CHEER") == ["note_later"]
    assert "Tuesday 12 May" in talk.last.body
    deciding.decline(every(Gift)[1].id, wren, None)
    assert talk.text(ANA, "CHEER") == ["note_later"]  # two in a week, the second read by now
    assert "Tuesday 12 May" in talk.last.body
    assert talk.text(ANA, "Taking a break") == ["note_break"]
    with db.reading() as session:
        assert not wishes.gives(session, ana.id)
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert talk.text(ANA, "descanso de notas") == ["note_break"]
    talk.text(ANA, "taking a break")
    assert waits(ana)  # from somebody who gives none these are a person's words
    with later(days=8):
        assert talk.text(ANA, "CHEER") == ["note_write"]
        assert "TAKING A BREAK" in talk.last.body


@ONE
def test_a_number_in_a_note_is_named_at_once_and_never_carried(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    talk.text(ANA, "CHEER")
    assert talk.text(ANA, "Call me any time") == ["writing_so_far"]
    assert "Numbers" not in talk.last.body
    assert talk.text(ANA, "on 202 555 0143") == ["writing_so_far"]
    assert "Numbers, addresses and links stay out of it" in talk.last.body
    talk.text(ANA, "PASS")
    gift = every(Gift)[0]
    with pytest.raises(Conflict, match="Take the number"):
        deciding.approve(gift.id, wren, gift.body, looked=True)
    deciding.approve(gift.id, wren, "You can call any time", looked=True)
    ben = wants(add_member("Ben", BEN))
    change(Gift, gift.id, body="write to ana@example.org")
    with pytest.raises(Conflict, match="still in it"):
        carrying.choose(gift.id, ben.id, wren)


@ONE
def test_thanks_counts_for_a_note_of_three_days_and_oops_takes_it_back(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    ben = wants(add_member("Ben", BEN))
    assert talk.text(BEN, "thanks") != ["note_thanked"]
    carrying.choose(approved(talk, wren).id, ben.id, wren)
    leave(talk)
    assert talk.text(BEN, "thanks") == ["note_thanked"]
    assert talk.text(BEN, "OOPS") == ["oops_undone"]
    with later(hours=2):
        assert leave(talk) == []  # its author hears nothing
        assert talk.text(BEN, "thank you so much for everything you do") != ["note_thanked"]
    with later(hours=71):
        assert talk.text(BEN, "Gracias") == ["note_thanked"]
    change(CarriedNote, every_note()[0].id, thanked_at=None)
    with later(hours=74):
        assert talk.text(BEN, "thanks") != ["note_thanked"]


@ONE
def test_a_discreet_member_reads_a_note_and_no_more(talk: Talk) -> None:
    wren = person()
    add_member("Ana", ANA)
    ben = wants(add_member("Ben", BEN, discreet=True))
    carrying.choose(approved(talk, wren).id, ben.id, wren)
    assert leave(talk)[0].startswith("A note for you: ")


@ONE
def test_yes_and_no_to_notes_by_text_and_by_page(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    assert not preferences.view(ana.id).notes
    assert preferences.save(ana.id, preferences.Changes(notes=True), link_channel=SMS)[0].about == "on"
    assert preferences.view(ana.id).notes
    for words in ("NO NOTES", "stop notes", "sin notas"):
        assert talk.text(ANA, words) == ["note_wish_off"]
        with db.reading() as session:
            found = session.get_one(Member, ana.id)
            assert (found.state, found.paused_until) == (MemberState.ACTIVE, None)
    assert talk.text(ANA, "animo para mi") == ["note_wish_on"]
    assert talk.text(ANA, "ups") == ["oops_undone"]
    assert not preferences.view(ana.id).notes
    preferences.save(
        ana.id, preferences.Changes(on=frozenset((t, SMS) for t in Topic if t != Topic.CIRCLE)), link_channel=SMS
    )
    talk.text(ANA, "CHEER ME")
    assert "which is off for you" in talk.last.body
