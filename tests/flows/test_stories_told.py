"""Hope, told as a story: from a member's own words to others' phones, approved to the letter, and back at any time."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from service import clock, db
from service.actions import campaigns, leaving, safety, stories
from service.actions.delivery import claims
from service.actions.hope import asking, pieces
from service.actions.stories import StoryDetails
from service.errors import Conflict
from service.models.campaigns import CampaignKind, Delivery
from service.models.content import Attribution, Lived, Story, StoryRead, StoryState
from service.models.members import Member
from service.models.staff import Coordinator, Role
from tests.flows.replies import ANA, MAIL, on_duty
from tests.flows.talk import Talk, flags, waits
from tests.flows.world import EMAIL, SMS, add_member, send
from tests.web.desk import change

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
BEA, CLEO = "+12025550177", "+12025550178"
TOLD = "I used to lie awake. A short list by the bed helped me. My friend Marcus rang on Sundays."
EDITED = "I used to lie awake. A short list by the bed helped me. A friend rang on Sundays."
SHORT = "I used to lie awake. A friend rang, and walking helped. It is lighter now."


def wren(name: str = "Wren", role: Role = Role.COORDINATOR) -> Coordinator:
    with db.transaction() as session:
        known = session.scalars(select(Coordinator).where(Coordinator.name == name)).first()
        if known is None:
            known = Coordinator(
                id=db.uuid7(), email=f"{name}@example.org".lower(), name=name, role=role, created_at=clock.now()
            )
            session.add(known)
    return known


def story(id_: UUID | None = None) -> Story:
    with db.reading() as session:
        return session.get_one(Story, id_) if id_ else session.scalars(select(Story)).one()


def edit(told: Story, **more: Any) -> None:
    """A coordinator gives it a title and a text, and edits for privacy."""
    values: dict[str, Any] = {
        "title": "Sundays", "about": "sleep", "topics": ("sleep",), "body_email": EDITED, "body_sms": SHORT,
        "author_id": told.author_id, "language": told.language,
    }  # fmt: skip
    stories.save(told.id, wren(), StoryDetails(**values | more))


def digits(talk: Talk) -> str:
    """The three digits of the newest question."""
    asked = next(out for out in reversed(talk.left) if out.template == "story_ask")
    return re.findall(r"PUBLI\w+ (\d{3})", asked.body)[0]


def published(talk: Talk, title: str = "Sundays", **more: Any) -> Story:
    """A story that is out, of nobody in particular."""
    values: dict[str, Any] = {
        "title": title, "body_email": EDITED, "body_sms": f"{title}. {SHORT}", "consent_sms": True,
        "consent_email": True,
    }  # fmt: skip
    made = stories.save(None, wren(), StoryDetails(**values | more))
    stories.publish(made, wren(), looked=True)
    with db.reading() as session:
        there = session.scalar(select(func.count()).select_from(Story)) or 0
    change(Story, made, published_at=clock.now() - timedelta(days=100 - there))  # one after the other
    return story(made)


def out(talk: Talk, to: str, template: str) -> list[str]:
    return [o.body for o in talk.left if o.to == to and o.template == template]


def test_a_story_goes_from_its_author_to_others_and_back_by_text(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    for words in ("STORY", TOLD, "PASS"):
        talk.text(ANA, words)
    told = story()
    assert told.original == TOLD
    with pytest.raises(Conflict, match="Write it for mail and for text"):
        asking.ask(told.id, wren())
    edit(told)
    assert asking.ask(told.id, wren()) == [SMS]
    talk.deliver()
    assert out(talk, ANA, "story_words") == [f"As a text:\n{SHORT}", f"As an email:\nSundays\n\n{EDITED}"]
    assert story().state == StoryState.AWAITING_AUTHOR
    first = digits(talk)
    assert talk.text(ANA, "yes") == ["story_yes_needs_code"]  # YES never publishes
    assert first in talk.last.body
    assert talk.text(ANA, "Could you say that it was two years ago?") == ["free_text_received"]
    assert waits(ana)
    with db.reading() as session:
        assert [m.body for m in asking.answers(session, story())][-1] == "Could you say that it was two years ago?"
    edit(told, body_sms=SHORT + " It took two years.")
    assert story().state == StoryState.REVIEW
    assert talk.text(ANA, f"PUBLISH {first}") == ["story_code_other"]  # those digits said yes to other words
    assert "Nothing of yours waits" in talk.last.body
    asking.ask(told.id, wren())
    talk.deliver()
    second = digits(talk)
    assert second != first
    assert talk.text(ANA, f"Publish {first}") == ["story_code_other"]
    with pytest.raises(Conflict, match="not approved these exact words"):
        stories.publish(told.id, wren(), looked=True)
    assert talk.text(ANA, f"publish {second} NAME") == ["story_approved"]
    assert "with your first name" in talk.last.body
    said = story()
    assert (said.consent_sms, said.consent_email, said.consent_page) == (True, True, False)
    assert (said.attribution, said.author_name) == (Attribution.FIRST_NAME, "Ana")
    assert said.state == StoryState.REVIEW  # nothing is published by itself
    stories.publish(told.id, wren(), looked=True)
    talk.deliver()
    assert len(out(talk, ANA, "story_published")) == 1
    add_member("Bea", BEA)
    talk.send(CampaignKind.STORY, "{{ story_body }}", story_id=told.id)
    talk.text(BEA, "not really")
    with db.reading() as session:
        assert [r.helped for r in session.scalars(select(StoryRead).where(StoryRead.member_id != told.author_id))] == [
            False
        ]
    assert talk.text(ANA, "WITHDRAW") == ["story_withdrawn"]
    assert "can't be called back" in talk.last.body
    assert story().state == StoryState.WITHDRAWN
    assert talk.text(ANA, "withdraw my story") == ["story_none_of_yours"]


@pytest.mark.parametrize(
    ("locale", "yes", "back"), [("en", "PUBLISH {}", "Withdraw"), ("es", "Publicar {}", "retirar")]
)
def test_by_mail_the_whole_text_comes_at_once_and_its_answer_counts(
    talk: Talk, locale: str, yes: str, back: str
) -> None:
    add_member("Ben", None, MAIL, locale=locale)
    talk.mail(MAIL, TOLD, subject="Story" if locale == "en" else "Historia")
    talk.mail(MAIL, "PASS")
    edit(story())
    assert asking.ask(story().id, wren()) == [EMAIL]
    talk.deliver()
    asked = talk.last
    assert EDITED in asked.body
    assert SHORT in asked.body
    assert "/a/" in asked.body
    assert talk.mail(MAIL, yes.format(digits(talk))) == []  # a mail that answers none of ours proves no address
    assert story().state == StoryState.AWAITING_AUTHOR
    assert talk.mail(MAIL, yes.format(digits(talk)), answers=asked) == ["story_approved"]
    stories.publish(story().id, wren(), looked=True)
    talk.deliver()
    assert talk.last.template == "story_published"
    assert talk.mail(MAIL, back, answers=asked) == ["story_withdrawn"]
    assert story().state == StoryState.WITHDRAWN
    assert talk.mail(MAIL, "oops" if locale == "en" else "ups", answers=asked) == ["oops_undone"]
    assert story().state == StoryState.PUBLISHED


def test_a_withdrawal_during_a_send_stops_what_has_not_left(talk: Talk) -> None:
    add_member("Ana", ANA)
    for words in ("STORY", TOLD, "PASS"):
        talk.text(ANA, words)
    edit(story())
    asking.ask(story().id, wren())
    talk.deliver()
    talk.text(ANA, f"PUBLISH {digits(talk)}")
    stories.publish(story().id, wren(), looked=True)
    talk.deliver()
    for name, phone in (("Bea", BEA), ("Cleo", CLEO), ("Dora", "+12025550179")):
        add_member(name, phone)
    campaign_id = send(CampaignKind.STORY, "{{ story_body }}", story_id=story().id)
    campaigns.freeze(campaign_id)
    batch = claims.claim("texts", 100)
    assert len(batch.claimed) == 3  # nobody is sent their own
    assert claims.mark_sending(batch.claimed[:1])  # one is on its way
    assert talk.text(ANA, "WITHDRAW") == ["story_withdrawn"]
    assert not claims.mark_sending(batch.claimed[1:])  # the others are given up
    talk.deliver()
    with db.reading() as session:
        mine = select(Delivery.state, Delivery.reason).where(Delivery.campaign_id == campaign_id)
        found = sorted((str(state), reason) for state, reason in session.execute(mine))
    assert found == [("sending", None), *[("skipped", "story_withdrawn")] * 2]


@ONE
def test_self_harm_takes_the_author_and_two_people_in_this_order(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    safia = wren("Safia", Role.SAFEGUARDING)
    hard = "There was a night when I wanted to die. I rang a line, and my sister sat with me. It gets lighter."
    made = stories.save(
        None, wren(), StoryDetails("A night", hard, SHORT, author_id=ana.id, lived=Lived.YEAR),
    )  # fmt: skip
    for person in (wren(), safia):
        with pytest.raises(Conflict, match="not approved"):
            stories.publish(made, person, looked=True)
    asking.ask(made, wren())
    talk.deliver()
    talk.text(ANA, f"PUBLISH {digits(talk)}")
    assert stories.publish(made, wren(), looked=True) == StoryState.SECOND_REVIEW
    talk.text(ANA, "OOPS")  # the author takes their yes back between the two
    with pytest.raises(Conflict, match="not approved"):
        stories.publish(made, safia, looked=True)
    asking.ask(made, wren())
    talk.deliver()
    talk.text(ANA, f"PUBLISH {digits(talk)} NAME")  # named now: that is not what the first person read
    assert stories.publish(made, safia, looked=True) == StoryState.SECOND_REVIEW
    with pytest.raises(Conflict, match="You were the first"):
        stories.publish(made, safia, looked=True)
    assert stories.publish(made, wren(), looked=True) == StoryState.PUBLISHED


@ONE
def test_a_long_story_is_cut_between_sentences_and_no_link_is_texted_to_mexico(talk: Talk) -> None:
    long = "\n\n".join(f"Paragraph {n}. " + "It was slow, and then it was lighter. " * 25 for n in range(6))
    for phone, parts, link in ((ANA, 0, True), ("+525512345678", 6, False)):
        member = add_member("Ana", phone)
        made = stories.save(None, wren(), StoryDetails("Slow", long, SHORT, author_id=member.id))
        asking.ask(made, wren())
        talk.deliver()
        texts = out(talk, phone, "story_words")
        assert len(texts) == 1 + (parts or 1)
        assert any("/a/" in text for text in texts) == link
        if parts:
            assert " ".join(" ".join(t.split(":\n", 1)[1] for t in texts[1:]).split()) == " ".join(
                f"Slow\n\n{long}".split()
            )
    assert all(len(part) <= pieces.LONGEST for part in pieces.split(long))


@ONE
def test_a_discreet_author_gets_a_link_and_no_word_of_it(talk: Talk) -> None:
    ana = add_member("Ana", ANA, discreet=True)
    made = stories.save(None, wren(), StoryDetails("Sundays", EDITED, SHORT, author_id=ana.id))
    asking.ask(made, wren())
    talk.deliver()
    assert [o.template for o in talk.left if o.to == ANA] == ["story_ask_discreet"]
    assert "Sunday" not in talk.last.body


@ONE
def test_nothing_is_asked_of_an_author_under_a_flag_and_a_story_rests_for_good_when_they_died(talk: Talk) -> None:
    on_duty()
    ana = add_member("Ana", ANA)
    made = stories.save(
        None, wren(), StoryDetails("Sundays", EDITED, SHORT, author_id=ana.id, consent_sms=True),
    )  # fmt: skip
    talk.text(ANA, "I want to kill myself, I have the pills here")
    with pytest.raises(Conflict, match="under a safety flag"):
        asking.ask(made, wren())
    leaving.mark_died(ana.id, wren().id)
    flag = flags()[0]
    safety.acknowledge(flag.id, wren("Safia", Role.SAFEGUARDING).id)
    safety.clear(flag.id, wren("Safia", Role.SAFEGUARDING).id, "They died.")
    assert story().state == StoryState.RESTING


@ONE
def test_several_stories_are_told_apart_by_letters_and_a_withdrawal_counts_while_a_person_is_here(talk: Talk) -> None:
    ana = add_member("Ana", ANA)
    for _ in range(2):
        for words in ("STORY", TOLD, "PASS"):
            talk.text(ANA, words)
    change(Member, ana.id, last_human_at=clock.now())  # a person wrote last
    assert talk.text(ANA, "WITHDRAW") == ["story_which"]
    assert talk.text(ANA, "withdraw b") == ["story_withdrawn"]
    with db.reading() as session:
        states = [s.state for s in session.scalars(select(Story).order_by(Story.created_at, Story.id))]
    assert states == [StoryState.REVIEW, StoryState.WITHDRAWN]
