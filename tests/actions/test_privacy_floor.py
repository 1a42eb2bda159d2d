"""The floor under the numbers of ME TOO, whatever people do and in whatever order (rule of conversation 12)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from service import clock, db
from service.actions.resonance import counting
from service.models.content import Resonance, Story
from service.models.members import Member
from tests.flows.test_main_job import add_story
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PEOPLE = 14
ACTS = st.lists(
    st.tuples(st.integers(0, PEOPLE - 1), st.sampled_from(["say", "say", "say", "back", "erase"])), max_size=45
)


@pytest.fixture
def crowd(database: db.Database) -> list[Member]:
    return [add_member(f"N{n}", f"+12025553{n:03}") for n in range(PEOPLE)]


def _say(story: Story, member: Member) -> int:
    with db.transaction() as session:
        found = session.get_one(Story, story.id)
        return counting.record(session, found, session.get_one(Member, member.id), None, clock.now()).told or 0


def _act(story: Story, member: Member, what: str) -> int | None:
    if what == "say":
        return _say(story, member)
    with db.transaction() as session:
        if what == "erase":
            session.execute(delete(Resonance).where(Resonance.member_id == member.id))
        else:
            felt = session.scalar(select(Resonance).where(Resonance.member_id == member.id))
            if felt is not None:
                felt.taken_back_at = clock.now()
    return None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_no_number_gives_anybody_away(crowd: list[Member], acts: list[tuple[int, str]]) -> None:
    with db.transaction() as session:
        session.execute(delete(Resonance))
    story = add_story()
    heard: dict[int, int] = {}
    ever: set[int] = set()
    before = 0
    for who, what in acts:
        told = _act(story, crowd[who], what)
        if what == "erase":
            heard.pop(who, None)  # whoever is erased is nobody that we know
        if told is None:
            continue
        assert told == 0 or (told >= counting.FLOOR and told % 5 == 0)
        assert told <= len(ever - {who}), "it is never more than have said so"
        if who in heard:
            assert told == heard[who], "asking again, after OOPS or not, tells nothing new"
        else:
            assert told >= before, "what was told does not go down, whoever takes back or goes"
            before = told
        heard[who] = told
        ever.add(who)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 20_000))
def test_what_may_be_told_of_a_count(database: Any, count: int) -> None:
    shown = counting.rounded(count)
    assert shown == 0 or shown >= counting.FLOOR
    assert 0 <= count - shown < 5
    assert (shown == 0) == (count < counting.FLOOR)
    reached = counting.step(count)
    assert reached <= count
    assert reached == 0 or reached in counting.STEPS
