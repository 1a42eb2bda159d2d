"""Words are blanked after a year: all of them, nobody else's, once, and what was done about them stays."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import housekeeping, safety
from service.actions.conversations import forgetting, replying
from service.config import Settings
from service.models.campaigns import CampaignKind
from service.models.conversations import CheckIn, Note
from service.models.staff import Coordinator
from tests.flows.replies import ANA, on_duty
from tests.flows.talk import NOON, Talk, conversation, flags, messages
from tests.flows.world import add_member

YEAR = timedelta(days=365)


def a_year_of_words(talk: Talk) -> Coordinator:
    maya = on_duty()
    ana = add_member("Ana", ANA)
    talk.send(CampaignKind.CHECKIN, "How are you?")
    talk.text(ANA, "2, it was a long and lonely week for me here")
    talk.text(ANA, "I want to kill myself tonight")
    replying.reply(conversation(ana).id, maya, "I am ringing you now.")
    replying.add_note(conversation(ana).id, maya, "Her sister is Eva.")
    safety.clear(flags()[0].id, maya.id, "Rang her; Eva is there.")
    return maya


def test_words_go_after_their_days_and_what_was_done_stays(talk: Talk) -> None:
    a_year_of_words(talk)
    count = len(messages())
    with clock.frozen_at(NOON + YEAR - timedelta(hours=1)):
        assert "words" not in housekeeping.run()
        talk.text(ANA, "a new word")
    with clock.frozen_at(NOON + YEAR + timedelta(hours=1)):
        assert housekeeping.run()["words"] == count
        assert "words" not in housekeeping.run()
    kept = messages()
    assert [m.body for m in kept if m.at == NOON] == [""] * count
    assert "a new word" in [m.body for m in kept]
    assert [f.outcome for f in flags()] == [None]
    assert flags()[0].cleared_at == NOON
    assert any(m.labels.get("did") == "checkin 2" for m in kept)
    with db.reading() as session:
        assert session.scalars(select(Note.body)).all() == [""]
        assert session.execute(select(CheckIn.score, CheckIn.words)).all() == [(2, None)]
    with clock.frozen_at(NOON + 3 * YEAR):
        assert housekeeping.run()["words"] >= 1
    assert {m.body for m in messages()} == {""}


def test_many_are_done_in_pieces_and_a_stop_loses_nothing(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "CHUNK", 3)
    ana = add_member("Ana", ANA)
    for minute in range(10):
        with clock.frozen_at(NOON + timedelta(minutes=minute)):
            talk.text(ANA, f"word {minute} of many")
    real, rounds = forgetting._messages, []

    def breaks_off(*given):  # type: ignore[no-untyped-def]
        rounds.append(1)
        if len(rounds) == 3:
            raise RuntimeError("the machine went away")
        return real(*given)

    monkeypatch.setattr(forgetting, "_messages", breaks_off)
    with clock.frozen_at(NOON + YEAR + timedelta(days=1)):
        with pytest.raises(RuntimeError):
            forgetting.forget_words()
        assert {m.body for m in messages()} != {""}
        forgetting.forget_words()
    assert {m.body for m in messages()} == {""}
    assert ana.id


def test_nought_keeps_everything(talk: Talk, configure: Callable[..., Settings]) -> None:
    configure(conversation_days=0)
    a_year_of_words(talk)
    with clock.frozen_at(NOON + 9 * YEAR):
        assert "words" not in housekeeping.run()
    assert "" not in {m.body for m in messages()}
