"""The pace that all workers share: no burst, answers first, everybody slower when a provider says so. A real Valkey."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from service import queue
from service.actions.delivery import pace
from service.config import Settings
from service.models.members import ChannelName


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    def clean() -> None:
        pace._away_until = 0.0
        pace._alone.update(sms=pace._Alone(), email=pace._Alone())

    clean()
    yield
    clean()


def hold(name: str = "texts", holder: str = "a") -> pace.Hold:
    return pace.Hold(name, 1000, holder=holder)


def begin(seconds: float, what: pace.Hold, begun: list[float], n: int = 1, left: int = 100) -> None:
    """Start messages for a while, as a worker does, and note the moments."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = pace.turn("sms", what, n, left)
        assert found is not None
        for moment in found.of(range(n)).values():
            pace.pause_until(moment)
            begun.append(time.monotonic())


def together(*acts: Callable[[], None]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def most_within(begun: list[float], seconds: float) -> int:
    """The most that began within any window of so many seconds."""
    moments = sorted(begun)
    return max(sum(1 for m in moments[i:] if m < first + seconds) for i, first in enumerate(moments))


def test_three_workers_together_keep_the_pace_and_never_burst(
    valkey: Redis, configure: Callable[..., Settings]
) -> None:
    configure(twilio_mps=100)
    begun: list[float] = []
    together(*[lambda n=n: begin(2.2, hold(holder=str(n)), begun, n=2) for n in range(3)])
    assert most_within(begun, 1.0) <= 105
    whole = max(begun) - min(begun)
    assert len(begun) / whole >= 95, "nor does it fall behind"


def test_a_flushed_redis_does_not_burst(valkey: Redis, configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=50)
    begun: list[float] = []

    def flush() -> None:
        for _ in range(4):
            time.sleep(0.25)
            valkey.flushall()

    together(flush, lambda: begin(1.3, hold(), begun), lambda: begin(1.3, hold(holder="b"), begun))
    assert most_within(begun, 1.0) <= 50 * 1.05 + 4  # a turn that was given just before a flush may be given again


def test_a_claim_holds_at_most_what_leaves_in_five_seconds_over_all_workers(
    valkey: Redis, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(twilio_mps=10, twilio_concurrency=16)
    sizes, shares = [], []
    for number in range(8):
        monkeypatch.setattr(pace, "_PROCESS", f"worker-{number}")
        found = pace._reserve("texts", 500)
        sizes.append(found.size)
        shares.append(found.in_flight)
    assert sum(sizes) <= 50
    assert sizes[:3] == [25, 13, 6], "the next one always finds something"
    assert shares[0] == 16
    assert shares[3] == 4
    monkeypatch.setattr(pace, "_PROCESS", "one-more")
    with pace.reserved("texts", 500) as late:
        assert (late.size, late.wait > 0) == (0, True)
    with pace.reserved("replies", 500) as answers:
        assert answers.size == 25, "answers have a share of their own"


def test_what_a_worker_has_begun_another_may_reserve(
    valkey: Redis, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(twilio_mps=100)
    first = pace._reserve("texts", 500)
    monkeypatch.setattr(pace, "_PROCESS", "another")
    assert pace._reserve("texts", 500).size == 125
    for _ in range(5):
        assert pace.turn("sms", first, 20) is not None
    assert pace._reserve("texts", 500).size == 175


def test_answers_go_first_and_campaigns_keep_a_share(valkey: Redis, configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=40)
    answers: list[float] = []
    campaign: list[float] = []
    together(
        lambda: begin(2, hold("replies", "r"), answers),
        lambda: begin(2, hold("texts", "t"), campaign),
        lambda: begin(2, hold("texts", "u"), campaign),
    )
    assert len(answers) > 2 * len(campaign)
    assert len(campaign) >= 8
    assert most_within(answers + campaign, 1.0) <= 42


def test_one_answer_waits_a_moment_while_a_campaign_is_under_way(
    valkey: Redis, configure: Callable[..., Settings]
) -> None:
    configure(twilio_mps=20)
    campaign: list[float] = []
    waits: list[float] = []

    def answer() -> None:
        for _ in range(4):
            time.sleep(0.2)
            asked = time.monotonic()
            found = pace.turn("sms", hold("replies", "r"), 1)
            assert found is not None
            waits.append(found.moment - asked)

    together(answer, lambda: begin(1.2, hold(), campaign), lambda: begin(1.2, hold(holder="b"), campaign))
    assert max(waits) < 0.4, waits


def test_too_fast_slows_everybody_together_and_passes(valkey: Redis, configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=40)
    begun: list[float] = []
    mine = pace._reserve("texts", 100)
    for _ in range(10):  # sixteen requests under way are told the same: that is one reason, not many
        pace.slow_down("sms", mine, retry_after=0.3)
    assert 19.9 < mine.rate < 20.5
    with pace.reserved("texts", 100) as other:
        assert other.size == 0
        assert 0.2 < other.wait <= 0.3, "what the provider asks for is obeyed by everybody"
    asked = time.monotonic()
    begin(1.6, hold(holder="b"), begun)
    assert begun[0] - asked >= 0.25
    assert most_within(begun, 1.0) <= 22

    # It grows back by a hundredth of the set pace a second, here with the clock of its memory put back.
    key = "hearthline:pace:sms"
    valkey.hset(key, "limit_at", float(valkey.hget(key, "limit_at") or 0) - 25)
    rate, rest = pace.look("sms") or (0, 1)
    assert 30 <= rate <= 31.5
    assert rest == 0
    valkey.hset(key, "limit_at", float(valkey.hget(key, "limit_at") or 0) - 60)
    assert pace.look("sms") == (40.0, 0.0)


def test_without_a_set_pace_half_of_what_was_seen_is_the_limit(
    valkey: Redis, configure: Callable[..., Settings]
) -> None:
    configure(twilio_mps=0)
    free = pace._reserve("texts", 500)
    assert (free.size, free.rate) == (500, 0.0)
    for _ in range(8):
        assert pace.turn("sms", free, 32) is not None
    pace.slow_down("sms", free, retry_after=0)
    assert 64 <= free.rate <= 129  # the 256 may have begun in two different seconds
    assert pace._reserve("texts", 5000).size <= free.rate * 5


def test_the_email_provider_slows_down_emails_alone(valkey: Redis, configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=0)
    pace.slow_down("email", hold("emails"), retry_after=30)
    with pace.reserved("emails", 500) as mails, pace.reserved("texts", 500) as texts:
        assert (mails.size, texts.size) == (0, 500)
        assert 25 < mails.wait <= 30
    with pace.reserved("replies", 500) as answers:
        assert (answers.size, answers.only) == (500, ChannelName.SMS), "answers by text leave all the same"
    pace.slow_down("sms", hold(), retry_after=20)
    with pace.reserved("replies", 500) as answers:
        assert answers.size == 0
    valkey.hdel("hearthline:pace:email", "rest")
    with pace.reserved("replies", 500) as answers:
        assert (answers.size, answers.only) == (500, ChannelName.EMAIL)


def test_without_redis_a_worker_keeps_to_half_of_the_pace(configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=40)
    begun: list[float] = []
    with pace.reserved("texts", 500) as mine:
        assert (mine.size, mine.rate) == (100, 20.0)
        begin(1.2, mine, begun)
        assert 18 <= most_within(begun, 1.0) <= 22
        pace.slow_down("sms", mine, retry_after=0.4)
        asked = time.monotonic()
        assert pace.turn("sms", mine, 1) is not None
        assert time.monotonic() - asked >= 0.35
    pace._alone["sms"].sharers = 5
    with pace.reserved("texts", 500) as mine:
        assert mine.rate == 8.0


def test_a_stopped_worker_waits_for_no_turn(valkey: Redis, configure: Callable[..., Settings]) -> None:
    configure(twilio_mps=0.2)
    asked = time.monotonic()
    threading.Timer(0.2, queue.stopping.set).start()
    assert pace.turn("sms", hold(), 1) is None
    assert time.monotonic() - asked < 1


def test_a_dead_worker_holds_nothing_for_long(
    valkey: Redis, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(twilio_mps=1)
    monkeypatch.setattr(pace, "HOLD", 0.1)
    assert pace._reserve("texts", 500).size == 3
    monkeypatch.setattr(pace, "_PROCESS", "the-next")
    assert pace._reserve("texts", 500).size == 1
    time.sleep(0.15)
    monkeypatch.setattr(pace, "_PROCESS", "the-one-after")
    assert pace._reserve("texts", 500).size == 3
