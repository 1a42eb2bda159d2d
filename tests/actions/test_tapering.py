"""Check-ins taper off for whoever does not answer them, and come back with the first answer (rule 11)."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from service import clock, db
from service.actions import zones
from service.config import Settings
from service.models.campaigns import CampaignKind, Delivery, DeliveryState
from service.models.conversations import CheckIn
from tests.actions.engine import standing
from tests.flows.talk import NOON, Talk
from tests.flows.world import add_member

ANA, MAIL = "+12025550123", "ana@example.org"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SKIPPED = DeliveryState.SKIPPED


@pytest.fixture
def talk(database: db.Database, configure: Callable[..., Settings]) -> Iterator[Talk]:
    configure(daily_cap=0, weekly_cap=0, sending_window="00:00-24:00")
    with clock.frozen_at(NOON):
        zones.refresh()
        yield Talk()


class Days:
    """One check-in a day, at noon and some minutes; `left` are the days on which one left."""

    def __init__(self, talk: Talk, **more: Any) -> None:
        self.talk, self.more = talk, more
        self.day = 0
        self.left: list[int] = []
        self.campaigns: list[Any] = []

    def run(self, days: int) -> list[int]:
        for _ in range(days):
            with clock.frozen_at(NOON + self.day * DAY + self.day * 37 % 11 * MINUTE):
                campaign = self.talk.send(CampaignKind.CHECKIN, "How are you?", override=False, **self.more)
                self.campaigns.append(campaign)
                if went(campaign):
                    self.left.append(self.day)
            self.day += 1
        return self.left

    def say(self, words: str) -> None:
        with clock.frozen_at(NOON + (self.day - 1) * DAY + 60 * MINUTE):
            self.talk.text(ANA, words)


def went(campaign: Any) -> bool:
    with db.reading() as session:
        found = select(Delivery.id).where(Delivery.campaign_id == campaign, Delivery.sending_at.is_not(None))
        return session.scalar(found.limit(1)) is not None


def test_three_without_an_answer_make_it_weekly_and_three_more_monthly(talk: Talk) -> None:
    add_member("Ana", ANA)
    days = Days(talk)
    # The question stays open for two days; then weekly, then every fourth week.
    assert days.run(90) == [0, 2, 5, 12, 19, 26, 54, 82]
    assert standing(days.campaigns[-1]) == (SKIPPED, "quiet")


@pytest.mark.parametrize("words", ["4", "not a good day, to be honest"])
def test_any_answer_brings_the_rhythm_back(talk: Talk, words: str) -> None:
    add_member("Ana", ANA)
    days = Days(talk)
    days.run(30)
    silent_until = len(days.left)
    while days.left[-1] != days.day - 1:  # until the next one has come
        days.run(1)
    days.say(words)
    days.left.clear()
    days.run(4)
    assert silent_until == 6
    assert days.left[0] <= days.day - 3, "the next one comes the very next days"
    with db.reading() as session:
        assert (session.scalar(select(CheckIn.score)) == 4) == (words == "4")


def test_an_answer_to_something_else_is_none_to_the_check_in(talk: Talk) -> None:
    add_member("Ana", ANA)
    days = Days(talk)
    days.run(6)
    assert len(days.left) == 3
    with clock.frozen_at(NOON + 6 * DAY):
        talk.send(CampaignKind.INVITE, "Picnic on Sunday?")
        assert talk.text(ANA, "yes") == ["rsvp_noted"]
    days.day = 7
    days.run(3)
    assert len(days.left) == 3


def test_two_copies_are_one_check_in_and_what_never_arrived_is_none(talk: Talk) -> None:
    add_member("Ana", ANA, MAIL, both_channels=True)
    days = Days(talk, mail="How are you?")
    days.run(4)
    assert len(days.left) == 2  # four copies
    with db.transaction() as session:
        session.execute(
            update(Delivery).where(Delivery.campaign_id == days.campaigns[0]).values(state=DeliveryState.UNDELIVERED)
        )
    days.run(5)
    assert len(days.left) == 4


def test_now_and_other_campaigns_are_not_held_back(talk: Talk) -> None:
    add_member("Ana", ANA)
    Days(talk).run(12)
    with clock.frozen_at(NOON + 12 * DAY):
        for kind, override in ((CampaignKind.TOOL, False), (CampaignKind.CHECKIN, True)):
            assert went(talk.send(kind, "Hello.", override=override))
