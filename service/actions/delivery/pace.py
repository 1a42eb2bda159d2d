"""The pace of each sender, shared by all workers on all machines: a bucket in Redis that starts empty and never holds
more than a moment's worth, so that nothing bursts. What a worker may claim is reserved first; then every few messages
are given the moment at which they may begin. "Slow down" from a provider slows everybody, and passes gradually.

Without Redis each process keeps to its share of the pace by itself, on the cautious side.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from redis.exceptions import RedisError

from service import config, queue
from service.models.members import ChannelName

Sender = Literal["sms", "email"]

SECONDS_AHEAD = 5.0
"""All claims of a queue together hold at most what leaves in this time, so that a stop or a pause bites at once."""
SLICE = 0.1
"""Seconds' worth of messages that get their turns together: worth a round trip and a commit."""
LOOKAHEAD = 0.15
"""How far ahead (seconds) a turn is given, so that writing it down first, or a short stall, costs no time."""
SLACK = 0.02
"""How much (seconds' worth) of a turn that nobody took may be taken a little later."""
HOLD = 90.0
"""Seconds until what a dead worker holds counts no more."""
PATIENCE = 5.0
"""Seconds that a claim waits for its turn; then it is given back, so that rules are judged afresh."""
REST = 1.0
"""Seconds that everybody rests where a provider says "slow down" and not for how long."""
REST_AT_MOST = 600.0
AWAY = 2.0
"""Seconds without a try after Redis failed."""
STEP = 0.25

_PROCESS = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


@dataclass
class Hold:
    """What one worker may claim now, and under which pace it sends."""

    queue: str
    size: int
    """Messages that may be claimed; 0: nothing may begin now, look again in `wait` seconds."""
    wait: float = 0.0
    only: ChannelName | None = None
    """Set when the other channel rests: then only this one is worth claiming."""
    rate: float = 0.0
    """Messages a second of the sender just now; 0 is no limit."""
    in_flight: int = 1
    """Requests that this worker may have under way: its share of TWILIO_CONCURRENCY."""
    holder: str = field(default="", repr=False)

    @property
    def group(self) -> int:
        """How many texts get their turns together."""
        return max(1, int(self.rate * SLICE)) if self.rate else self.in_flight * 2


@dataclass(frozen=True, slots=True)
class Turn:
    """When a few messages may begin: the first at `moment` (monotonic seconds), each other `gap` seconds later."""

    moment: float
    gap: float

    def of(self, ids: Sequence[int]) -> dict[int, float]:
        """The moment of each."""
        return {id_: self.moment + n * self.gap for n, id_ in enumerate(ids)}


@dataclass
class _Alone:
    """The pace of this process while Redis is away."""

    next_at: float = 0.0
    rest_until: float = 0.0
    sharers: int = 2


_alone: dict[str, _Alone] = {"sms": _Alone(), "email": _Alone()}
_away_until = 0.0


@contextmanager
def reserved(queue_name: str, most: int) -> Iterator[Hold]:
    """Reserve up to `most` messages of a queue for this process, and let go of what was not used at the end."""
    hold = _reserve(queue_name, most)
    try:
        yield hold
    finally:
        if hold.holder and hold.size:
            _quietly(lambda client: client.hdel(_keys(_sender_of(queue_name))[1], hold.holder))


def turn(sender: Sender, hold: Hold, n: int, left: int = 0) -> Turn | None:
    """Wait until the turn of the next `n` messages is near, and return it.

    What has to be written down before they leave can be done meanwhile. None: the process has been told to stop, or
    it takes so long that the claim should be given back. `left` is how many this worker has still to begin after them.
    """
    gives_up = time.monotonic() + PATIENCE + n / hold.rate if hold.rate else time.monotonic() + PATIENCE
    lane = "replies" if hold.queue == "replies" else "others"
    while not queue.stopping.is_set():
        granted, wait, rate = _turn(sender, hold, n, lane, left)
        if granted:
            return Turn(time.monotonic() + wait, 1 / rate if rate else 0.0)
        if time.monotonic() + wait > gives_up:
            return None
        queue.stopping.wait(min(wait, STEP))
    return None


def pause_until(moment: float) -> None:
    """Sleep until the moment of a turn, or until the process is told to stop."""
    seconds = moment - time.monotonic()
    if seconds > 0:
        queue.stopping.wait(seconds)


def slow_down(sender: Sender, hold: Hold, retry_after: float | None = None) -> None:
    """The provider says that we are too fast: every worker rests, halves the pace, and finds back gradually.

    `retry_after` (seconds) is obeyed up to REST_AT_MOST.
    """
    rest = min(retry_after if retry_after is not None else REST, REST_AT_MOST)
    _alone[sender].rest_until = max(_alone[sender].rest_until, time.monotonic() + rest)
    found = _call(sender, "slow", rest)
    if found is not None and sender == "sms":
        hold.rate = float(found[1])


def look(sender: Sender) -> tuple[float, float] | None:
    """(messages a second allowed now, 0 for no limit; seconds of rest left); None when Redis cannot tell."""
    found = _call(sender, "look")
    return (float(found[1]), float(found[2])) if found is not None else None


def _reserve(queue_name: str, most: int) -> Hold:
    sender = _sender_of(queue_name)
    hold = Hold(queue_name, most, holder=f"{_PROCESS}-{queue_name}")
    lane = "replies" if queue_name == "replies" else "others"
    ahead = SECONDS_AHEAD if sender == "sms" else 0.0  # an email's turn is a request of up to a thousand
    found = _call(sender, "reserve", most, hold.holder, lane, ahead, HOLD)
    if found is None:
        rest = _reserve_alone(sender, hold)
    else:
        rest = float(found[2])
        hold.size, hold.rate = int(found[0]), float(found[1])
        _alone[sender].sharers = max(2, int(found[3]))
        hold.in_flight = max(1, config.current().twilio_concurrency // int(found[3]))
    if queue_name == "replies":
        _choose_channel(hold, rest, most)
    elif not hold.size:
        hold.wait = rest or STEP
    return hold


def _choose_channel(hold: Hold, texts_rest: float, most: int) -> None:
    """Answers go by text and by email: while one provider rests, the other's leave all the same."""
    mails_rest = _resting("email")
    if texts_rest > 0 and mails_rest > 0:
        hold.size, hold.wait = 0, min(texts_rest, mails_rest)
    elif texts_rest > 0:
        hold.size, hold.only = most, ChannelName.EMAIL
    elif mails_rest > 0:
        hold.only = ChannelName.SMS
    if not hold.size and not hold.wait:
        hold.wait = STEP


def _reserve_alone(sender: Sender, hold: Hold) -> float:
    """The same without Redis; returns the seconds of rest left."""
    alone = _alone[sender]
    hold.rate = _rate_alone(sender)
    hold.in_flight = max(1, config.current().twilio_concurrency // alone.sharers)
    if hold.rate:
        hold.size = min(hold.size, max(1, int(hold.rate * SECONDS_AHEAD)))
    rest = alone.rest_until - time.monotonic()
    if rest > 0:
        hold.size = 0
    return max(rest, 0.0)


def _resting(sender: Sender) -> float:
    found = look(sender)
    return found[1] if found is not None else max(0.0, _alone[sender].rest_until - time.monotonic())


def _turn(sender: Sender, hold: Hold, n: int, lane: str, left: int) -> tuple[bool, float, float]:
    """Whether `n` may begin, in how many seconds, and at which rate; if not, when to ask again."""
    found = _call(sender, "turn", n, hold.holder, lane, left, SLACK, LOOKAHEAD)
    if found is not None:
        granted = int(found[0]) > 0
        return granted, float(found[1]), float(found[2]) if granted else 0.0
    alone, now = _alone[sender], time.monotonic()
    if alone.rest_until > now:
        return False, alone.rest_until - now, 0.0
    rate = _rate_alone(sender)
    if not rate:
        return True, 0.0, 0.0
    begins = max(alone.next_at, now)
    alone.next_at = begins + n / rate
    return True, begins - now, rate


def _rate_alone(sender: Sender) -> float:
    """This process's share of the set rate, among as many workers as it has last seen, and at least two."""
    return _base(sender) / _alone[sender].sharers


def _base(sender: Sender) -> float:
    return config.current().twilio_mps if sender == "sms" else 0.0


def _sender_of(queue_name: str) -> Sender:
    return "email" if queue_name == "emails" else "sms"


def _keys(sender: str) -> list[str]:
    return [f"hearthline:pace:{sender}", f"hearthline:pace:{sender}:held"]


def _call(sender: Sender, verb: str, *arguments: object) -> list[Any] | None:
    """Run a verb of pace.lua; None when Redis does not answer."""
    found: list[Any] | None = _quietly(lambda client: _script(client)(_keys(sender), [verb, _base(sender), *arguments]))
    return found


def _quietly(act: Callable[[Any], Any]) -> Any:
    global _away_until
    if time.monotonic() < _away_until:
        return None
    try:
        return act(queue.connection(read_timeout=1))
    except (RedisError, OSError) as error:
        _away_until = time.monotonic() + AWAY
        queue.report_outage(error)
        return None


@lru_cache(maxsize=8)
def _script(client: Any) -> Any:
    return client.register_script(Path(__file__).with_name("pace.lua").read_text())
