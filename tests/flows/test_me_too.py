"""ME TOO told as stories: to a story and to a "you too?", by text, by mail and on a page; and what both sides hear."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from service import clock, db
from service.actions import campaigns, leaving, stories
from service.actions.checkins import making, rhythms
from service.actions.checkins.rhythms import RhythmDetails
from service.actions.conversations.on_page import Heard
from service.actions.delivery import writing
from service.actions.giving import gifts
from service.actions.giving.gifts import Passed
from service.actions.resonance import counting, page, prompts, telling
from service.errors import Forbidden, Invalid, NotFound
from service.models.campaigns import Campaign, CampaignKind, Delivery
from service.models.checkins import Every, RhythmKind
from service.models.content import Prompt, Resonance, Story
from service.models.conversations import CheckIn
from service.models.giving import Gift, GiftState, Giving
from service.models.members import Member
from service.models.staff import Role
from tests.flows.replies import ANA, BEN, MAIL, on_duty
from tests.flows.talk import EMAIL, NOON, SMS, Talk, flags, waits
from tests.flows.test_checkins import ask, person
from tests.flows.test_main_job import add_story
from tests.flows.world import add_circle, add_member

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
FEELING = "On Sunday evenings I dread the week"
FIRST = datetime(2026, 5, 6, 18, 1, tzinfo=NOON.tzinfo)
"""A minute after the hour of the rhythm in New York, on a Wednesday."""


def many(count: int, start: int = 0, **more: Any) -> list[Member]:
    return [add_member(f"N{n}", f"+1202555{2000 + n}", **more) for n in range(start, start + count)]


PHONES = [f"+1202555{2000 + n}" for n in range(9)]
"""Of nine of the many."""


def felt(thing: Story | Prompt, members: Sequence[Member]) -> list[int]:
    """These say ME TOO, one after the other; what each is told."""
    told = []
    for member in members:
        with db.transaction() as session:
            found: Any = session.get(type(thing), thing.id)
            told.append(
                counting.record(session, found, session.get_one(Member, member.id), None, clock.now()).told or 0
            )
    return told


def share(member: Member, words: str = FEELING, *, approved: bool = True) -> Gift:
    """A feeling that a member passed on, and a person approved."""
    with db.transaction() as session:
        gift = gifts.keep(session, Passed(Giving.FEELING, session.get_one(Member, member.id), SMS, words))
        if approved:
            gift.state, gift.decided_at = GiftState.APPROVED, clock.now()
    return gift


def every(model: Any) -> list[Any]:
    with db.reading() as session:
        return list(session.scalars(select(model)))


def live() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Resonance).where(counting.LIVE)) or 0


def send_story(talk: Talk, story: Story, **more: Any) -> Any:
    return talk.send(CampaignKind.STORY, "{{ story_body }}", "{{ story_body }}", story_id=story.id, **more)


def weekly(**more: Any) -> UUID:
    contents = []
    for channel in (SMS, EMAIL):
        for language in ("en", "es"):
            subject, body = campaigns.starter(CampaignKind.PROMPT, channel, language)
            contents.append({"channel": str(channel), "language": language, "subject": subject, "body": body})
    values: dict[str, Any] = {
        "name": "You too?", "every": Every.WEEK, "days": (2,), "local_time": "14:00", "channels": (SMS, EMAIL),
        "contents": tuple(contents), "kind": RhythmKind.PROMPT,
    }  # fmt: skip
    return rhythms.save(None, person(), RhythmDetails(**values | more))


def tick(talk: Talk, at: datetime) -> list[str]:
    """The clock, and everything that may leave then; who got something."""
    with clock.frozen_at(at):
        telling.run()
        making.make_due()
        campaigns.start_due()
        return sorted(out.to for out in talk.deliver())


@pytest.mark.parametrize(
    "words",
    [
        "me too",
        "Same here!",
        "🙋",
        "🙋🏽‍♀️",
        "yo también",
        "A mí también",
        "x2",
        "same",
        "me 2",
        "idem",
        "Ditto.",
        "felt this",
        "#metoo",
    ],
)
@ONE
def test_many_words_mean_me_too_while_it_is_asked(talk: Talk, words: str) -> None:
    add_member("Ana", ANA)
    send_story(talk, add_story())
    assert talk.text(ANA, words) == ["me_too_noted"]
    assert live() == 1
    assert every(Member)[0].paused_until is None
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert live() == 0


@ONE
@pytest.mark.parametrize("words", ["🙋", "x2", "same", "me 2", "idem"])
def test_the_same_words_mean_nothing_where_nothing_is_asked(talk: Talk, words: str) -> None:
    ana = add_member("Ana", ANA)
    talk.text(ANA, words)
    assert live() == 0
    assert waits(ana)


@ONE
def test_a_number_answers_what_was_asked_last(talk: Talk) -> None:
    add_member("Ana", ANA)
    send_story(talk, add_story())
    ask(talk, 0)
    assert talk.text(ANA, "me 2") == ["checkin_2"]
    assert [row.score for row in every(CheckIn)] == [2]
    assert live() == 0
    assert talk.text(ANA, "me too") == ["me_too_noted"]  # the story is still open
    assert live() == 1


@ONE
def test_me_too_with_nothing_to_answer_says_what_it_answers(talk: Talk) -> None:
    ana, luz = add_member("Ana", ANA), add_member("Luz", BEN, locale="es")
    assert talk.text(ANA, "me too") == ["me_too_nothing"]
    assert "answers a story" in talk.last.body
    assert talk.text(BEN, "yo también") == ["me_too_nothing"]
    assert "responde a una historia" in talk.last.body
    assert waits(ana)
    assert waits(luz)
    send_story(talk, add_story())
    with clock.frozen_at(NOON + timedelta(days=3)):
        assert talk.text(ANA, "me too") == ["me_too_nothing"]
    assert live() == 0


@ONE
def test_to_a_story_of_suicide_or_assault_it_is_a_concern(talk: Talk) -> None:
    on_duty()
    ana, ben = add_member("Ana", ANA), add_member("Ben", None, MAIL)
    send_story(talk, add_story(me_too_allowed=False))
    assert "ME TOO" not in talk.left[0].body
    assert talk.text(ANA, "me too") == ["risk_answer"]
    mail = next(out for out in talk.left if out.to == MAIL)
    assert talk.mail(MAIL, "Me too", answers=mail) == ["risk_answer"]
    assert live() == 0
    assert [(flag.member_id, flag.tier.value) for flag in flags()] == [(ana.id, "concern"), (ben.id, "concern")]
    assert waits(ana)
    assert waits(ben)


@ONE
def test_under_a_flag_it_goes_to_a_person_and_counts_for_nothing(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    story = add_story()
    send_story(talk, story)
    talk.text(ANA, "I want to kill myself tonight")
    talk.text(ANA, "me too")
    assert live() == 0
    assert page.say("story", story.id, ana.id, SMS) == (Heard.PERSON, 0)
    assert live() == 0


def test_readers_hear_fives_and_the_author_hears_each_step_once(talk: Talk) -> None:
    add_member("Ana", ANA)
    author = add_member("Author", None, MAIL)
    story = add_story(author_id=author.id)
    told = felt(story, many(11))
    assert told == [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10]
    send_story(talk, story)
    assert talk.text(ANA, "Me too") == ["me_too_count"]
    assert "10 others felt this" in talk.last.body
    with db.transaction() as session:
        session.execute(update(Story).values(felt_at=NOON))
    assert MAIL not in tick(talk, NOON + timedelta(hours=2))  # not while answers come in
    assert tick(talk, NOON + timedelta(hours=25)).count(MAIL) == 1
    assert "felt by 10 others" in talk.last.body
    assert MAIL not in tick(talk, NOON + timedelta(hours=26))  # once
    assert MAIL not in tick(talk, NOON + timedelta(days=3))


@ONE
def test_an_author_may_say_no_news_and_hears_nothing_under_a_flag(talk: Talk) -> None:
    author = add_member("Author", ANA)
    story = add_story(author_id=author.id)
    assert felt(story, [author]) == [0]
    felt(story, many(6))
    assert counting.step(7) == 5
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == author.id).values(held_at=NOON))
    assert ANA not in tick(talk, NOON + timedelta(hours=30))
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == author.id).values(held_at=None))
    assert ANA in tick(talk, NOON + timedelta(hours=31))
    assert talk.text(ANA, "No news") == ["news_off"]
    felt(story, many(6, 6))
    with db.transaction() as session:
        session.execute(update(Story).values(felt_at=NOON))
    assert ANA not in tick(talk, NOON + timedelta(hours=60))
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert talk.text(ANA, "news") == ["news_on"]


@ONE
def test_nobody_is_given_away_by_asking_again_oops_or_erasure(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    story = add_story()
    people = many(9)
    send_story(talk, story)
    assert talk.text(ANA, "me too") == ["me_too_noted"]
    felt(story, people[:8])
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert talk.text(ANA, "me too") == ["me_too_noted"]  # the same again, though eight others felt it by now
    assert talk.text(ANA, "me too") == ["me_too_noted"]
    for member in people[:6]:
        leaving.erase(member.id, "cli")
    assert felt(story, people[8:]) == [5]  # what was told does not go down
    with db.reading() as session:
        assert stories.felt_words(session, [story.id]) == {story.id: "5 or more"}
    assert ana.id in {row.member_id for row in every(Resonance)}


@ONE
def test_in_a_small_circle_the_number_never_names_everybody(talk: Talk) -> None:
    circle = add_circle()
    people = many(7, circle=circle)
    story = add_story()
    send_story(talk, story, circle_id=circle.id)
    assert felt(story, people) == [0] * 7  # six others of six would be a list of names
    more = many(9, 7, circle=circle)
    send_story(talk, story, circle_id=circle.id)
    assert felt(story, more) == [5] * 3 + [10] * 6  # of 16 who got it at most two thirds of the others, in fives


@ONE
def test_among_few_of_one_language_the_number_never_names_everybody(talk: Talk) -> None:
    spanish = many(7, locale="es")
    many(9, 7)
    both = own("I say yes and mean no", "Digo que sí y quiero decir que no")
    draft = at_once(both)
    campaigns.start(draft)
    campaigns.cancel(draft)  # called off before it asked anybody: that lifts no limit
    campaigns.start(at_once(both, languages=("es",)), override=True)
    tick(talk, NOON)
    assert felt(both, spanish) == [0] * 7  # six others of six would be a list of names


def test_a_shared_feeling_is_asked_once_and_the_result_comes_back(talk: Talk) -> None:
    author, ana = add_member("Author", BEN), add_member("Ana", ANA)
    carol = add_member("Carol", None, MAIL)
    add_member("Luz", "+12025550190", locale="es")
    mourning = add_member("Moe", "+12025550191")
    crowd = many(9)
    with db.transaction() as session:
        session.get_one(Member, mourning.id).loss_on = NOON.date()
    for words in ("SHARE", FEELING, "PASS"):
        talk.text(BEN, words)
    gift = every(Gift)[0]
    weekly()
    assert tick(talk, FIRST - timedelta(days=7)) == []  # nothing is asked before a person said yes
    with db.transaction() as session:
        session.execute(update(Gift).values(state=GiftState.APPROVED, decided_at=NOON))
    got = tick(talk, FIRST)
    assert got == sorted([ANA, MAIL, *PHONES])  # not the author, nobody in mourning, and nobody in another language
    prompt = every(Prompt)[0]
    assert prompt.gift_id == gift.id
    with clock.frozen_at(FIRST):
        assert talk.text(ANA, "me too") == ["me_too_noted"]
        mail = next(out for out in talk.left if out.to == MAIL)
        assert talk.mail(MAIL, "same here", answers=mail) == ["me_too_noted"]
    felt(prompt, crowd)
    told = tick(talk, FIRST + timedelta(days=4, hours=1))
    assert {ANA, MAIL} <= set(told)
    assert BEN in told  # its author: felt by ten others
    results = [out for out in talk.left if out.to == ANA and "or more of us" in out.body]
    assert len(results) == 1
    assert tick(talk, FIRST + timedelta(days=4, hours=2)) == []  # exactly once
    assert tick(talk, FIRST + timedelta(days=7)) == []  # and never asked twice
    with db.reading() as session:
        raw = str(session.connection().exec_driver_sql("SELECT body FROM campaign_contents").all())
    assert "dread" not in raw  # members' words are kept encrypted, in one place
    assert {author.id, carol.id, ana.id} & {row.member_id for row in every(Resonance)} == {ana.id, carol.id}


def own(words_en: str = FEELING, words_es: str | None = None) -> Prompt:
    with db.transaction() as session:
        made = Prompt(words_en=words_en, words_es=words_es, created_at=NOON)
        session.add(made)
    return made


def at_once(prompt: Prompt, **more: Any) -> UUID:
    """The draft of a campaign that asks it, in the words that a new one begins with."""
    contents = []
    for channel in (SMS, EMAIL):
        for language in ("en", "es"):
            subject, body = campaigns.starter(CampaignKind.PROMPT, channel, language)
            contents.append(campaigns.ContentDraft(channel, language, body, subject))
    values: dict[str, Any] = {
        "name": "You too?", "kind": CampaignKind.PROMPT, "channels": (SMS, EMAIL), "contents": tuple(contents),
        "prompt_id": prompt.id, "languages": prompt.languages if len(prompt.languages) == 1 else (),
    }  # fmt: skip
    return campaigns.create(campaigns.Draft(**values | more))


def wrong(campaign_id: UUID) -> list[str]:
    with db.reading() as session:
        return [p.field for p in campaigns.problems(session, campaigns.get(session, campaign_id))]


def test_a_coordinator_asks_one_at_once_and_the_result_comes_back(talk: Talk) -> None:
    author = add_member("Author", BEN)
    add_member("Ana", ANA)
    add_member("Luz", "+12025550190", locale="es")
    share(author)
    crowd = many(9)
    later_one = own("I say yes and mean no")
    weekly()
    telling.run()
    with db.reading() as session:
        line = prompts.ready(session)
        feeling = next(prompt for prompt in line if prompt.gift_id)
    draft = at_once(feeling)
    with db.reading() as session:
        assert [p.id for p in prompts.ready(session)] == [p.id for p in line]  # a draft has asked nobody
        assert prompts.draft_of(session, feeling.id) == draft
        assert campaigns.reach(session, campaigns.get(session, draft)).people == 10  # not the author, nor in Spanish
    campaigns.start(draft, override=True)
    assert tick(talk, NOON) == sorted([ANA, *PHONES])
    assert talk.text(ANA, "me too") == ["me_too_noted"]
    felt(feeling, crowd)
    again = at_once(feeling)
    assert wrong(again) == ["prompt_id"]
    with pytest.raises(Invalid, match="asked already"):
        campaigns.start(again)
    assert {ANA, BEN} <= set(tick(talk, FIRST))  # the next of the line by the rhythm, and news for the author
    with db.reading() as session:
        asked = session.scalars(select(Campaign.prompt_id).where(Campaign.frozen_at.is_not(None))).all()
    assert [i for i in asked if i] == [feeling.id, later_one.id]
    told = tick(talk, NOON + timedelta(days=4, hours=1))
    assert ANA in told
    assert [out.to for out in talk.left if "or more of us" in out.body].count(ANA) == 1


@ONE
def test_what_keeps_a_prompt_from_being_asked_is_said_beside_its_field(talk: Talk) -> None:
    author, wren = add_member("Author", BEN), person()
    add_member("Ana", ANA)
    english, both = own(), own("I say yes and mean no", "Digo que sí y quiero decir que no")
    assert wrong(at_once(english)) == wrong(at_once(both)) == []
    assert wrong(at_once(english, languages=())) == ["audience"]
    assert wrong(at_once(english, languages=("es",))) == ["audience"]
    assert wrong(at_once(english, prompt_id=None)) == ["prompt_id"]
    silent = (campaigns.ContentDraft(SMS, "en", "Me too?"),)
    assert wrong(at_once(english, contents=silent, channels=(SMS,))) == ["sms_en_body"]
    prompts.retire(english.id, wren)
    assert wrong(at_once(english)) == ["prompt_id"]
    share(author)
    telling.run()
    feeling = next(prompt for prompt in every(Prompt) if prompt.gift_id)
    draft = at_once(feeling)
    assert wrong(draft) == []
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == author.id).values(held_at=NOON))
    assert wrong(draft) == ["prompt_id"]
    called_off = at_once(both)
    campaigns.start(called_off)
    assert wrong(at_once(both)) == ["prompt_id"]
    campaigns.cancel(called_off)
    assert wrong(at_once(both)) == []  # it has reached nobody
    assert tick(talk, NOON + timedelta(days=4, hours=1)) == []
    assert all(prompt.result_at is None for prompt in every(Prompt))  # nor is there a result


def test_two_who_ask_the_same_at_one_moment_ask_it_once(talk: Talk) -> None:
    add_member("Ana", ANA)
    drafts = [at_once(prompt) for prompt in [own()] for _ in range(3)]
    refused: list[str] = []

    def begin(draft: UUID) -> None:
        try:
            campaigns.start(draft)
        except Invalid as error:
            refused.append(error.message)

    together = [threading.Thread(target=begin, args=(draft,)) for draft in drafts]
    for each in together:
        each.start()
    for each in together:
        each.join()
    assert len(refused) == 2
    assert all("asked already" in words for words in refused)


@ONE
def test_below_the_floor_the_result_has_no_number(talk: Talk) -> None:
    add_member("Ana", ANA)
    with db.transaction() as session:
        session.add(Prompt(words_en=FEELING, words_es="Los domingos me pesa la semana", created_at=NOON))
    weekly()
    tick(talk, FIRST)
    with clock.frozen_at(FIRST):
        talk.text(ANA, "me too")
    assert tick(talk, FIRST + timedelta(days=4, hours=1)) == [ANA]
    assert "or more" not in talk.last.body
    assert "Thank you for saying it" in talk.last.body


@ONE
def test_each_language_gets_its_own_words(talk: Talk) -> None:
    add_member("Ana", ANA)
    add_member("Luz", None, MAIL, locale="es")
    with db.transaction() as session:
        session.add(Prompt(words_en=FEELING, words_es="Los domingos me pesa la semana", created_at=NOON))
    weekly()
    assert tick(talk, FIRST) == [ANA, MAIL]
    with db.reading() as session:
        campaign = session.scalars(select(Campaign).where(Campaign.kind == CampaignKind.PROMPT)).one()
        pack = writing.load_pack(session, campaign.id)
    english, spanish = (writing.Reader(db.uuid7(), "", language, "UTC", "US") for language in ("en", "es"))
    assert writing.text_body(pack, english, NOON).startswith(f'"{FEELING}"')
    assert '"Los domingos' in writing.text_body(pack, spanish, NOON)
    assert "YO TAMBIEN" in writing.text_body(pack, spanish, NOON)


@ONE
def test_words_that_are_taken_back_or_retired_leave_no_more(talk: Talk) -> None:
    author = add_member("Author", BEN)
    add_member("Ana", ANA)
    gift = share(author)
    weekly()
    with clock.frozen_at(FIRST - timedelta(minutes=30)):
        telling.run()
        making.make_due()
    with db.transaction() as session:
        gifts.take_back(session, session.get_one(Gift, gift.id))
    assert tick(talk, FIRST) == []
    with db.reading() as session:
        assert {d.reason for d in session.scalars(select(Delivery).where(Delivery.campaign_id.is_not(None)))} == {
            "prompt_withdrawn"
        }
    assert every(Prompt) == []


@ONE
def test_while_its_author_is_under_a_flag_a_prompt_rests(talk: Talk) -> None:
    author = add_member("Author", BEN)
    add_member("Ana", ANA)
    share(author)
    weekly()
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == author.id).values(held_at=NOON))
    assert tick(talk, FIRST) == []
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == author.id).values(held_at=None))
    assert tick(talk, FIRST + timedelta(days=7)) == [ANA]


@ONE
def test_prompts_of_our_own_are_ordered_and_never_about_suicide(talk: Talk) -> None:
    wren = person()
    first = prompts.save(None, wren, "I cancel plans and then feel alone", "")
    second = prompts.save(None, wren, FEELING, "Los domingos me pesa la semana")
    with pytest.raises(Invalid, match="suicide or assault"):
        prompts.save(None, wren, "I tried to kill myself once", "")
    with pytest.raises(Invalid, match="English"):
        prompts.save(None, wren, " ", "")
    with pytest.raises(Invalid, match="numbers"):
        prompts.save(None, wren, "Call me on 202 555 0123", "")
    with pytest.raises(Forbidden):
        prompts.save(None, person(Role.CIRCLE_COORDINATOR, "Olu"), "Mine", "")
    prompts.move(second, wren, up=True)
    with db.reading() as session:
        assert [row.prompt.id for row in prompts.listed(session)[0]] == [second, first]
    prompts.retire(first, wren)
    hard = share(add_member("Author", BEN), "After the rape I could not sleep")
    with db.transaction() as session:
        assert prompts.adopt(session) == 0
    with db.reading() as session:
        line, gone = prompts.listed(session)
    assert [row.prompt.id for row in line] == [second]
    assert {row.prompt.gift_id for row in gone} == {None, hard.id}
    mine = share(add_member("Other", ANA))
    with db.transaction() as session:
        prompts.adopt(session)
        known = session.scalars(select(Prompt).where(Prompt.gift_id == mine.id)).one().id
    prompts.save(known, wren, "something else", "Los domingos me pesa la semana")
    with db.reading() as session:
        kept = session.get_one(Prompt, known)
        assert (kept.words_en, kept.words_es) == (
            FEELING,
            "Los domingos me pesa la semana",
        )  # a member's words stay


def test_on_the_page_it_counts_like_a_text_and_can_be_taken_back(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    story = add_story(consent_page=True)
    felt(story, many(6))
    send_story(talk, story)
    assert page.view("story", story.id, ana.id).takes
    assert page.say("story", story.id, ana.id, SMS) == (Heard.KEPT, 5)
    assert page.view("story", story.id, ana.id).told == 5
    assert talk.text(ANA, "me too") == ["me_too_count"]  # the same once more
    assert live() == 7
    page.take_back("story", story.id, ana.id)
    assert not page.view("story", story.id, ana.id).said
    assert page.say("story", story.id, ana.id, SMS) == (Heard.KEPT, 5)
    assert talk.text(ANA, "OOPS") == ["oops_undone"]
    assert not page.view("story", story.id, ana.id).said
    with db.transaction() as session:
        session.execute(delete(Resonance))
        session.get_one(Story, story.id).me_too_allowed = False
    with pytest.raises(NotFound):
        page.say("story", story.id, ana.id, SMS)
