"""READ told as a story: one to read now, whether it helped, and ME TOO to it, in both languages, by text and mail."""

from datetime import timedelta

from sqlalchemy import select

from service import clock, db
from service.models.content import Prompt, Resonance, StoryRead
from tests.flows.replies import ANA, MAIL, on_duty
from tests.flows.talk import NOON, Talk, flags
from tests.flows.test_me_too import FEELING, FIRST, tick, weekly
from tests.flows.test_stories_told import ONE, published
from tests.flows.world import add_member


def felt_by(talk: Talk) -> list[object]:
    """The stories and prompts that have been felt, in the order of the answers."""
    with db.reading() as session:
        rows = session.scalars(select(Resonance).where(Resonance.taken_back_at.is_(None)).order_by(Resonance.at))
        return [row.story_id or row.prompt_id for row in rows]


def test_read_gives_one_after_the_other_and_helped_counts_for_the_last(talk: Talk) -> None:
    ana = add_member("Ana", ANA, loss_on=clock.now().date())  # asked for, so it comes in these weeks, too
    ben = add_member("Ben", None, MAIL)
    published(talk, "First")
    published(talk, "Second")
    published(talk, "Tercera", language="es")
    published(talk, "By mail", consent_sms=False)
    assert talk.text(ANA, "Read") == ["story_card"]
    assert "First." in talk.last.body
    assert talk.text(ANA, "helped") == ["story_noted"]
    assert talk.text(ANA, "READ") == ["story_card"]
    assert "Second." in talk.last.body
    assert talk.text(ANA, "Not really") == ["story_noted"]
    assert talk.text(ANA, "oops") == ["oops_undone"]
    assert talk.text(ANA, "READ") == ["story_no_more"]
    with db.reading() as session:
        mine = select(StoryRead).where(StoryRead.member_id == ana.id).order_by(StoryRead.message_id)
        assert [read.helped for read in session.scalars(mine)] == [True, None]
    assert talk.mail(MAIL, "READ") == ["story_card"]
    first = talk.last
    for _ in range(2):
        talk.mail(MAIL, "READ")
    assert talk.mail(MAIL, "HELPED", answers=first) == ["story_noted"]  # the one that this mail answers
    with db.reading() as session:
        mine = select(StoryRead).where(StoryRead.member_id == ben.id).order_by(StoryRead.message_id)
        assert [read.helped for read in session.scalars(mine)] == [True, None, None]


def test_leer_gives_a_story_in_spanish_and_hears_whether_it_helped(talk: Talk) -> None:
    luz = add_member("Luz", ANA, locale="es")
    add_member("Sol", None, MAIL, locale="es")
    published(talk, "English")
    story = published(talk, "Los domingos", language="es")
    assert talk.text(ANA, "leer") == ["story_card"]
    assert "Los domingos." in talk.last.body
    assert "YO TAMBIÉN" in talk.last.body
    assert talk.text(ANA, "Me sirve") == ["story_noted"]
    assert talk.text(ANA, "no tanto") == ["story_noted"]
    assert talk.text(ANA, "ups") == ["oops_undone"]
    assert talk.text(ANA, "LEER OTRA") == ["story_no_more"]
    with db.reading() as session:
        assert [r.helped for r in session.scalars(select(StoryRead).where(StoryRead.member_id == luz.id))] == [True]
    assert talk.mail(MAIL, "Leer una historia") == ["story_card"]
    card = talk.last
    assert talk.mail(MAIL, "yo también", answers=card) == ["me_too_noted"]
    assert "Respondiste YO TAMBIÉN" in talk.last.body
    assert talk.mail(MAIL, "me sirvió", answers=card) == ["story_noted"]
    assert felt_by(talk) == [story.id]


def test_me_too_answers_a_story_that_was_asked_for(talk: Talk) -> None:
    add_member("Ana", ANA)
    add_member("Ben", None, MAIL)
    first, second = published(talk, "First"), published(talk, "Second")
    talk.text(ANA, "READ")
    assert "ME TOO" in talk.last.body
    assert talk.text(ANA, "felt this") == ["me_too_noted"]
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert felt_by(talk) == []
    talk.text(ANA, "READ")
    assert talk.text(ANA, "🙋") == ["me_too_noted"]
    assert felt_by(talk) == [second.id]
    assert talk.mail(MAIL, "READ") == ["story_card"]
    with clock.frozen_at(NOON + timedelta(days=5)):  # a mail is answered later than a text
        assert talk.mail(MAIL, "Same here", answers=talk.last) == ["me_too_noted"]
        assert talk.text(ANA, "me too") == ["me_too_nothing"]
    assert felt_by(talk) == [second.id, first.id]


@ONE
def test_me_too_is_about_whatever_came_last(talk: Talk) -> None:
    add_member("Ana", ANA)
    with db.transaction() as session:
        session.add(Prompt(words_en=FEELING, words_es="Los domingos me pesa la semana", created_at=NOON))
    weekly()
    story, another = published(talk, "First"), published(talk, "Second")
    talk.text(ANA, "READ")
    assert tick(talk, FIRST) == [ANA]
    with db.reading() as session:
        prompt = session.scalars(select(Prompt)).one()
    with clock.frozen_at(FIRST + timedelta(hours=1)):
        assert talk.text(ANA, "me too") == ["me_too_noted"]
    assert felt_by(talk) == [prompt.id]
    with clock.frozen_at(FIRST + timedelta(hours=2)):
        talk.text(ANA, "read another")
    with clock.frozen_at(FIRST + timedelta(hours=3)):
        assert talk.text(ANA, "me too") == ["me_too_noted"]
    assert felt_by(talk) == [prompt.id, another.id]
    assert story.id not in felt_by(talk)


@ONE
def test_me_too_to_a_story_of_suicide_that_was_asked_for_is_a_concern(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    published(talk, "First", me_too_allowed=False)
    talk.text(ANA, "READ")
    assert "ME TOO" not in talk.last.body
    assert talk.text(ANA, "me too") == ["risk_answer"]
    assert felt_by(talk) == []
    assert [(flag.member_id, flag.tier.value) for flag in flags()] == [(ana.id, "concern")]
