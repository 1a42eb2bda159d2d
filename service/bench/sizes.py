"""How much is measured: everything for the documents, little for a first look, next to nothing for the tests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of members and messages; every run is bounded by them and by time-outs."""

    both: int
    """Members with a phone and a mailbox: the texts and the emails of one fan-out."""
    crowd: int
    """Members while the answers are timed."""
    growth: tuple[int, ...]
    """Recipients of the campaigns whose cost is compared, small to large."""
    deliveries: int
    """Deliveries in the table, most of them of campaigns that are over, while the plans of a claim are taken."""
    slow_seconds: float
    """How long sending at 50 ms of latency is watched."""
    slow_lines: tuple[int, ...]
    """Requests in flight (TWILIO_CONCURRENCY) at that latency."""
    calls: int
    """Requests of a ceiling or a peer that is fast, and webhooks of a run."""
    few: int
    """Requests of a peer that is slow."""
    steady_seconds: float
    """How long members' texts come at a steady pace."""
    replies: int
    replies_per_second: float


FULL = Sizes(
    both=40_000, crowd=100_000, growth=(1_000, 10_000, 100_000, 1_000_000), deliveries=10_000_000,
    slow_seconds=8, slow_lines=(16, 64), calls=20_000, few=3_000, steady_seconds=120,
    replies=60, replies_per_second=5,
)  # fmt: skip
QUICK = Sizes(
    both=4_000, crowd=6_000, growth=(1_000, 3_000, 10_000), deliveries=50_000, slow_seconds=3,
    slow_lines=(16,), calls=4_000, few=800, steady_seconds=15,
    replies=10, replies_per_second=5,
)  # fmt: skip
TINY = Sizes(
    both=120, crowd=150, growth=(150,), deliveries=600, slow_seconds=0.6, slow_lines=(8,), calls=60, few=20,
    steady_seconds=1, replies=3, replies_per_second=10,
)  # fmt: skip
