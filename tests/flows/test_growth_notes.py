"""Small steps and how somebody said it: passed on, decided by a person, and in their circle's week."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import leaving
from service.actions.belonging import life
from service.actions.conversations import forgetting
from service.actions.delivery import mail_words, writing
from service.actions.giving import deciding
from service.channels.segments import measure
from service.errors import Conflict, Forbidden, Invalid
from service.models.campaigns import Campaign, CampaignContent
from service.models.content import Attribution, Story
from service.models.gatherings import CircleStaff
from service.models.giving import Gift, GiftState, Writing
from service.models.members import ChannelName, Member
from service.models.staff import AuditEntry, Coordinator, Role
from tests.flows import circles
from tests.flows.replies import ANA, BEN, MAIL
from tests.flows.talk import NOON, Talk, messages, waits
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


# In their circle's week


def later(days: float) -> Any:
    return clock.frozen_at(NOON + timedelta(days=days))


def wants_week(talk: Talk, phone: str, words: str = "WEEK ON") -> None:
    assert talk.text(phone, words) == ["circle_week_on"]


def approve(id_: UUID, person: Coordinator, **more: Any) -> None:
    with db.reading() as session:
        body = session.get_one(Gift, id_).body
    deciding.approve(id_, person, body, looked=True, **more)


def week_of(reader: Member, channel: ChannelName = ChannelName.SMS) -> str:
    """The newest digest as it leaves for this member."""
    with db.reading() as session:
        campaign = session.scalars(select(Campaign).order_by(Campaign.created_at.desc(), Campaign.id.desc())).first()
        assert campaign is not None
        pack = writing.load_pack(session, campaign.id)
        who = writing.Reader(
            reader.id, reader.first_name, reader.locale, reader.time_zone, reader.country, reader.discreet
        )
        if channel == ChannelName.SMS:
            return writing.text_body(pack, who, NOON)
        return mail_words.compiled(pack, who.language, reader.discreet).text


def test_steps_and_sentences_are_in_the_week_of_their_circle_once(talk: Talk) -> None:
    ana, ben = add_member("Ana", ANA), add_member("Ben", BEN)
    mel = add_member("Mel", None, MAIL)
    eva = add_member("Eva", "+12025550191", locale="es")
    kitchen = circles.circle("Kitchen Table", "KITCHEN", "Grief")
    circles.put_in(kitchen, ana, ben, mel, eva)
    iris = coordinator()
    wants_week(talk, ANA)
    wants_week(talk, "+12025550191", "SEMANA SI")
    first = give(talk, ANA, "STEP", STEP, "PASS NAME")
    assert "your first name" in talk.last.body
    said = give(talk, BEN, "SAID", "I can't talk about that today")
    refused = give(talk, BEN, "STEP", "I shouted at everybody")
    spanish = give(talk, "+12025550191", "PASITO", "Fui al mercado", "PASALO NOMBRE")
    for id_ in (first, said, spanish):
        approve(id_, iris)
    deciding.decline(refused, iris, None)
    with later(5):
        assert life.run()["digests"] == 2
        text, mail = week_of(ana), week_of(mel, ChannelName.EMAIL)
        assert f'Small steps this week: "{STEP}" (Ana) How somebody said it: "I can\'t talk about that today"' in text
        assert text.startswith("Kitchen Table: Next: Tue 12 May")
        assert measure(text).segments <= 2
        assert f'"{STEP}" (Ana)' in mail
        assert "Ben" not in text + mail
        assert "shouted" not in text + mail
        assert "mercado" not in text + mail
        assert 'Pasos de esta semana: "Fui al mercado" (Eva)' in week_of(eva)
        assert "letters" not in week_of(eva)
        with db.reading() as session:
            kept = " ".join(session.scalars(select(CampaignContent.body)))
        assert "letters that lay" not in kept  # no campaign keeps a member's words
    with later(12):
        assert life.run()["digests"] == 2
        assert "Small steps" not in week_of(ana)


@ONE
def test_who_took_it_back_or_is_under_a_flag_is_left_out_of_a_week_that_is_queued(talk: Talk) -> None:
    ana, ben, cleo = add_member("Ana", ANA), add_member("Ben", BEN), add_member("Cleo", None, MAIL)
    kitchen = circles.circle("Kitchen Table", "KITCHEN")
    circles.put_in(kitchen, ana, ben, cleo)
    iris = coordinator()
    wants_week(talk, ANA)
    with later(4.5):
        for phone, words in ((ANA, STEP), (BEN, "I slept with the light off")):
            approve(give(talk, phone, "STEP", words), iris)
        assert talk.mail(MAIL, "I rang my sister", subject="STEP") == ["writing_so_far"]
        assert talk.mail(MAIL, "PASS", subject="STEP") == ["step_passed"]
        approve(gift().id, iris)
        assert left(talk)[-1] == "gift_in"
    with later(5):
        life.run()
        assert all(words in week_of(ana) for words in (STEP, "light off", "sister"))
        assert talk.text(ANA, "OOPS") == ["oops_undone"]
        hold(ben)
        assert "letters" not in week_of(ana)
        assert "light off" not in week_of(ana)
        assert "sister" in week_of(ana)
        leaving.erase(cleo.id, "cli")
        assert week_of(ana).startswith("Kitchen Table: Next: Tue 12 May, 7:00 pm.")
        assert "Small steps" not in week_of(ana)


@ONE
def test_a_text_has_room_for_a_few_and_a_mail_for_more_and_discreet_phones_tell_nothing(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    hidden = add_member("Ben", BEN, discreet=True)
    kitchen = circles.circle("Kitchen Table", "KITCHEN")
    circles.put_in(kitchen, ana, hidden)
    iris = coordinator()
    wants_week(talk, BEN)
    assert "Kitchen" not in talk.last.body
    for words in ("x" * 290, *(f"I went out, day {n}" for n in range(1, 6))):
        approve(give(talk, ANA, "STEP", words), iris)
    with later(5):
        life.run()
        text, mail = week_of(ana), week_of(ana, ChannelName.EMAIL)
        assert text.count("I went out") == 3
        assert "xxx" not in text
        assert measure(text).segments == 2
        assert mail.count("I went out") == 5
        assert "x" * 290 in mail
        told = week_of(hidden)
        assert "went out" not in told
        assert "Kitchen" not in told
        assert "Small steps" not in told


@pytest.mark.parametrize(("letter", "which"), [("A", 0), ("b", 1), ("C", None), ("none", None)])
@ONE
def test_whoever_is_in_several_circles_may_say_whose_week_it_may_be_in(
    talk: Talk, letter: str, which: int | None
) -> None:
    ana = add_member("Ana", ANA)
    kitchen, steady, other = circles.three_circles()
    circles.put_in(kitchen, ana)
    circles.put_in(steady, ana)
    id_ = give(talk, ANA, "STEP", STEP)
    assert "A Kitchen Table, B Steady Ground, C none" in talk.last.body
    assert measure(talk.last.body).segments <= 2
    with db.reading() as session:
        assert session.get_one(Gift, id_).circle_id is None  # until they say so
    assert talk.text(ANA, letter) == ["gift_circle"]
    chosen = (kitchen.id, steady.id)[which] if which is not None else None
    assert gift().circle_id == chosen
    assert talk.text(ANA, "Z") != ["gift_circle"]  # it was answered
    iris = coordinator()
    if chosen is None:
        with pytest.raises(Conflict, match="Choose into which"):
            approve(id_, iris)
        with pytest.raises(Invalid):
            approve(id_, iris, circle_id=kitchen.id)  # they chose none of their own
        approve(id_, iris, circle_id=other.id)
    else:
        assert talk.text(ANA, "OOPS") == ["oops_undone"]
        assert gift().circle_id is None
        assert talk.text(ANA, letter) == ["gift_circle"]
        approve(id_, iris)
    assert gift().state == GiftState.APPROVED


@ONE
def test_no_circle_is_named_to_the_discreet_and_in_none_another_may_read_it(talk: Talk) -> None:
    ana, _ben = add_member("Ana", ANA, discreet=True), add_member("Ben", BEN, locale="es")
    for circle in circles.three_circles():
        circles.put_in(circle, ana)
    give(talk, ANA, "STEP", STEP)
    assert "Kitchen" not in talk.last.body
    assert gift().circle_choices is None
    assert talk.text(ANA, "A") != ["gift_circle"]
    give(talk, BEN, "Dije", "Hoy no puedo, gracias", "PASALO")
    assert "Ahora no tienes grupo" in talk.last.body
    assert talk.text(BEN, "SEMANA SI") == ["circle_week_none"]


@ONE
def test_the_week_is_switched_on_and_off_by_text_and_mail(talk: Talk) -> None:
    ana, mel = add_member("Ana", ANA), add_member("Mel", None, MAIL)
    kitchen, steady, _ = circles.three_circles()
    circles.put_in(kitchen, ana, mel)
    circles.put_in(steady, ana)

    def on(member: Member) -> list[bool]:
        return [place.digest for c in (kitchen, steady) if (place := circles.place(member, c))]

    assert talk.text(ANA, "week on") == ["circle_week_on"]
    assert on(ana) == [True, True]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert on(ana) == [False, False]
    assert talk.text(ANA, "WEEK ON STEADY") == ["circle_week_on"]
    assert "Steady Ground" in talk.last.body
    assert on(ana) == [False, True]
    assert talk.text(ANA, "WEEK ON HOURS") == ["circle_week_none"]
    assert talk.text(ANA, "Semana no.") == ["circle_week_off"]
    assert on(ana) == [False, False]
    assert talk.mail(MAIL, "Week on", subject="Re: Hello") == ["circle_week_on"]
    assert on(mel) == [True]
    for words in ("Week on Friday would be better", "next week off"):
        assert "circle_week_on" not in talk.text(ANA, words)
        assert on(ana) == [False, False]


@ONE
def test_a_name_goes_along_only_where_others_may_read_one(talk: Talk) -> None:
    add_member("Ana", ANA)
    for word, what in (("CHEER", "It travels without your name"), ("SHARE", "No name is shown with it")):
        give(talk, ANA, word, "It gets easier to begin", "PASS NAME")
        assert gift().named is False
        assert what in talk.last.body
    give(talk, ANA, "SAID", "I'd rather not", "pass with my name")
    assert gift().named is True
    assert "and your first name" in talk.last.body
    assert talk.text(ANA, "PASS NAME") != ["said_passed"]  # nothing is written
    assert talk.text(ANA, "STORY") == ["story_write"]
    talk.text(ANA, "It took me a year to go back to the choir.")
    assert talk.text(ANA, "PASS NAME") == ["story_passed"]
    assert "With it you choose whether your name stands there" in talk.last.body
    with db.reading() as session:
        told = session.scalars(select(Story)).one()
        assert (told.attribution, told.author_name) == (Attribution.ANONYMOUS, "")


@ONE
def test_whoever_told_us_no_name_is_offered_none(talk: Talk) -> None:
    add_member("", ANA)
    assert talk.text(ANA, "STEP") == ["step_write"]
    assert "PASS NAME" not in talk.last.body
    talk.text(ANA, STEP)
    assert talk.text(ANA, "PASS NAME") == ["step_passed"]
    assert "without a name (we know none)" in talk.last.body
    assert gift().named is False


@ONE
def test_step_in_the_midst_of_a_find_begins_a_step_and_its_letter_is_no_answer_to_find(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    kitchen, steady, _ = circles.three_circles()
    circles.put_in(kitchen, ana)
    circles.put_in(steady, ana)
    assert talk.text(ANA, "FIND") == ["find_theme"]
    give(talk, ANA, "STEP", STEP)
    assert talk.text(ANA, "B") == ["gift_circle"]
    assert gift().circle_id == steady.id


@ONE
def test_after_a_year_only_what_was_approved_is_still_known(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    circles.put_in(circles.circle("Kitchen Table", "KITCHEN"), ana)
    iris = coordinator()
    yes, no = give(talk, ANA, "STEP", f"{STEP} with Marcus"), give(talk, ANA, "SAID", "I can't talk about that today")
    deciding.approve(yes, iris, STEP)
    deciding.decline(no, iris, None)
    talk.text(ANA, "STEP")
    talk.text(ANA, "I began to write something here")
    with later(366):
        forgetting.forget_words()
    with db.reading() as session:
        kept = {gift.id: (gift.original, gift.body) for gift in session.scalars(select(Gift))}
        assert kept == {yes: ("", STEP), no: ("", "")}
        assert session.scalars(select(Writing)).all() == []
