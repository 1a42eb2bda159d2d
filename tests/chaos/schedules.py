"""Random schedules of trouble: a seed always draws the same one. When exactly things meet is up to the machine."""

import os
from dataclasses import dataclass
from random import Random
from typing import Any

DATABASES = ("sqlite", "postgresql")
SHORT = (19, 30)
"""The seeds of a plain `make test`; `make chaos` brings its own."""
WORKERS = ("texts", "emails", "replies", "inbound", "upkeep", "clock", "web")


@dataclass(frozen=True)
class Act:
    """Something that happens once the provider has taken `share` of all messages, or nothing has moved for a while."""

    share: float
    what: str
    about: dict[str, Any]

    def __str__(self) -> str:
        about = ", ".join(f"{name}={value}" for name, value in self.about.items())
        return f"{self.share:.2f} {self.what}({about})"


@dataclass(frozen=True)
class Schedule:
    """One campaign and everything that goes wrong while it leaves."""

    seed: int
    database: str
    people: int
    mix: dict[str, float]
    settings: dict[str, Any]
    switches: dict[str, float]
    mute: tuple[str, ...]
    """Channels of which no receipt ever comes. What a killed worker left open is asked for at the provider (sms), or
    stays open and is shown to a person (email): there silence proves nothing."""
    dies: list[tuple[str, str, int]]
    """(role, before or after, n): the first of the role to start kills itself around its n-th commit."""
    gates: list[tuple[str, int, str]]
    """(channel, n, before or after): whoever sends there is killed when the n-th request arrives, or is taken."""
    acts: list[Act]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {self.database}, {self.people} people, {self.settings}, no receipts: {self.mute}"]
        lines += [f"  {role} dies {when} commit {n}" for role, when, n in self.dies]
        lines += [f"  {channel} is killed {when} request {n}" for channel, n, when in self.gates]
        return "\n".join(lines + [f"  {act}" for act in self.acts])


def draw(seed: int, database: str | None = None) -> Schedule:
    """The schedule of a seed."""
    chance = Random(seed)
    where = chance.choice(DATABASES)
    where = database or where
    size = chance.choice([500, 1000, 2000, 3000])
    texts = chance.choice([120, 200, 300]) / size
    mute = tuple(name for name, share in (("sms", 0.25), ("email", 0.1)) if chance.random() < share)
    return Schedule(
        seed,
        where,
        size,
        {"sms": texts / 2, "email": 1 - texts, "both": texts / 2},
        {
            "twilio_mps": chance.choice([0, 40, 120, 400]),
            "twilio_concurrency": chance.choice([2, 4, 8]),
        },
        {
            "pace": chance.choice([0.01, 0.05, 0.2]),
            "repeats": chance.uniform(0, 0.4),
            "disorder": chance.uniform(0, 0.5),
            "opens": 1,
        },
        mute,
        [_death(chance) for _ in range(chance.randint(0, 2))],
        [_gate(chance) for _ in range(chance.randint(1, 4))],
        _acts(chance, where),
    )


def _death(chance: Random) -> tuple[str, str, int]:
    role = chance.choice(["texts", "texts", "emails", "emails", "inbound", "upkeep", "replies"])
    return role, chance.choice(["before", "after"]), chance.randint(1, 5 if role in ("emails", "upkeep") else 14)


def _gate(chance: Random) -> tuple[str, int, str]:
    channel = chance.choice(["sms", "email"])
    return channel, chance.randint(1, 90 if channel == "sms" else 7), chance.choice(["before", "after"])


def _acts(chance: Random, database: str) -> list[Act]:
    """What every schedule has, and a few at random; in the order of their shares."""
    kinds = ["kill", "kill", "forget", "provoke", "provoke", "provoke", "stop", chance.choice(["valkey", "forget"])]
    if database == "postgresql":
        kinds.append("postgres")
    more = ["kill", "kill", "provoke", "provoke", "stop", "stop", "valkey", "pause", "everybody", "cover", "unread"]
    kinds += chance.choices(more, k=chance.randint(1, 4))
    # What needs emails that have yet to leave comes early: they leave by the hundred.
    shares = [round(chance.random() * (0.4 if kind == "unread" else 0.95), 2) for kind in kinds]
    acts = [Act(share, kind, _about(chance, kind)) for share, kind in zip(shares, kinds, strict=True)]
    return sorted(acts, key=lambda act: act.share)


def _about(chance: Random, kind: str) -> dict[str, Any]:
    if kind == "kill":
        return {"role": chance.choice([*WORKERS, "texts", "emails"]), "most": chance.choice([1, 2])}
    if kind == "cover":  # away for a while: what it should have done is waiting
        return {"role": chance.choice(["inbound", "upkeep", "web"]), "seconds": round(chance.uniform(0.3, 1.2), 1)}
    if kind == "valkey":
        return {"seconds": round(chance.uniform(0, 1.5), 1)}
    if kind == "stop":
        return {"members": chance.randint(1, 6)}
    if kind == "provoke":
        channel = chance.choice(["sms", "sms", "email"])
        what = chance.choice(["429", "500", "unanswered", "slow", "repeated", "disordered", "silent"])
        if channel == "email" and what == "silent":
            what = "deferred"
        few = what in ("429", "500", "unanswered") or channel == "email"
        return {"kind": what, "channel": channel, "times": chance.randint(1, 3 if few else 20),
                "seconds": {"429": 1.0, "unanswered": 3.0, "slow": 0.5}.get(what)}  # fmt: skip
    return {}


def chosen() -> list[Schedule]:
    """The schedules to play: HEARTHLINE_CHAOS names seeds, HEARTHLINE_CHAOS_DATABASE one database for all of them."""
    named = os.environ.get("HEARTHLINE_CHAOS", "")
    where = os.environ.get("HEARTHLINE_CHAOS_DATABASE") or None
    return [draw(int(seed), where) for seed in named.split(",")] if named else [draw(seed) for seed in SHORT]
