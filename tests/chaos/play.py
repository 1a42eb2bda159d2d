"""Plays one schedule: a campaign leaves with real processes while everything around it breaks, and then settles."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import requests
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from service import config, db, queue
from service.actions import campaigns, consent
from service.actions.delivery import unsettled
from service.errors import Conflict
from service.models.campaigns import CampaignKind, CampaignState, Delivery, DeliveryState
from service.models.members import Address, ChannelName, Member
from tests.chaos import record
from tests.chaos.crew import Crew
from tests.chaos.schedules import Act, Schedule
from tests.flows.world import send
from tests.sandbox.standin import Standin

WORDS = "How are you, {{ first_name }}?"
NOTHING_MOVES = 2.5
"""Seconds without progress after which the next act comes all the same."""
OUTSIDE = 5
"""Members beside the audience, who asked to stop before it all began."""
SETTLES = 60.0
"""Seconds, beside a few graces, in which everything must have its end once nothing breaks any more."""


@dataclass
class Play:
    """One schedule being played. `restart` are the servers that can be killed and come back: valkey, postgres."""

    schedule: Schedule
    standin: Standin
    crew: Crew
    gate: record.Gate
    restart: dict[str, Callable[[float], None]]
    stops: dict[str, UUID] = field(default_factory=dict)
    outside: list[UUID] = field(default_factory=list)
    campaign: UUID | None = None
    opened: int = 0
    story: list[str] = field(default_factory=list)
    """What happened when, for whoever has to find out why."""
    _began: float = field(default_factory=time.monotonic)

    def _tell(self, what: object) -> None:
        self.story.append(f"{time.monotonic() - self._began:5.1f} s  {self._taken():5} taken  {what}")

    def run(self) -> float:
        """Play it and check what must hold; returns how many seconds it took."""
        began = self._began = time.monotonic()
        watch = record.Watch()
        try:
            self.begin()
            for act in self.schedule.acts:
                self.wait_for(act.share)
                self._tell(act)
                self.act(act)
            self._tell("nothing breaks any more")
            self.settle()
            self._tell(f"settled: {dict(record.standing())}")
        finally:
            watch.end()
            self.crew.end()
        assert not watch.wrong, watch.wrong[:5]
        assert watch.looks > 3
        self.check()
        self._tell(f"killed on the way: {dict(self.crew.killed)}")
        return time.monotonic() - began

    def begin(self) -> None:
        """Start the campaign, and everybody."""
        schedule = self.schedule
        self.standin.post("switches", **schedule.switches)
        self._mute()
        for role, when, n in schedule.dies:
            self.crew.ends_soon(role, when, n)
        for channel, n, when in schedule.gates:
            self.gate.orders[channel, n] = when
        self._let_some_leave()
        self.campaign = send(CampaignKind.CHECKIN, WORDS, WORDS)
        self.crew.keep_going()

    def check(self) -> None:
        """Everybody has one copy, by the provider's record and by ours."""
        assert self.campaign is not None
        record.nobody_outside(self.standin.app, self.outside)
        record.check(self.standin.app, self.campaign, self.schedule.people, self.stops, no_events=self._no_events)

    def _let_some_leave(self) -> None:
        with db.transaction() as session:
            for member in session.scalars(select(Member).order_by(Member.id.desc()).limit(OUTSIDE)):
                consent.stop(session, member, source="before it began")
                self.outside.append(member.id)

    @property
    def _no_events(self) -> bool:
        return "email" in self.schedule.mute

    def _taken(self) -> int:
        return record.taken(self.standin.app)

    def wait_for(self, share: float) -> None:
        """Until the provider has `share` of everything, or nothing moves."""
        last, since = -1, time.monotonic()
        while (now := self._taken()) < share * self.schedule.people:
            self.crew.keep_going()
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > NOTHING_MOVES:
                return
            time.sleep(0.02)

    # What happens

    def act(self, act: Act) -> None:
        """Let it happen."""
        getattr(self, f"_{act.what}")(**act.about)

    def _kill(self, role: str, most: int) -> None:
        self.crew.kill(role, most=most)
        self.crew.keep_going()

    def _everybody(self) -> None:
        for role in ("texts", "emails", "replies", "inbound", "upkeep", "clock"):
            self.crew.kill(role)
        self.crew.keep_going()

    def _cover(self, role: str, seconds: float) -> None:
        self.crew.kill(role)
        time.sleep(seconds)
        self.crew.keep_going()

    def _unread(self) -> None:
        """A worker of emails dies after a request was taken; for longer than the grace nobody reads what comes in."""
        self.crew.kill("inbound")
        self.gate.soon("email", "after")
        ends = time.monotonic() + config.current().unknown_grace_email + 2
        while time.monotonic() < ends:
            self.crew.keep_going(without="inbound")
            if not self._no_events:
                self._somebody_opens()
            time.sleep(0.25)

    def _forget(self) -> None:
        with suppress(Exception):
            queue.connection().flushall()

    def _valkey(self, seconds: float) -> None:
        self.restart["valkey"](seconds)

    def _postgres(self) -> None:
        self.restart["postgres"](0)

    def _provoke(self, kind: str, channel: str, times: int, seconds: float | None) -> None:
        self.standin.provoke(kind, channel, times=times, **({"seconds": seconds} if seconds else {}))

    def _stop(self, members: int) -> None:
        """Some members text STOP: whose copy a worker has in its hands just now, and others, it has left or not."""
        asked = {*self.stops.values(), *self.outside}
        phones = select(Address.value, Address.member_id).where(Address.channel == ChannelName.SMS)
        in_hand = select(Delivery.member_id).where(
            Delivery.state == DeliveryState.QUEUED, Delivery.claimed_until.is_not(None)
        )
        with db.reading() as session:
            soon = session.execute(phones.where(Address.member_id.in_(in_hand)).order_by(Address.id.desc())).all()
            anybody = session.execute(phones.order_by(Address.id)).all()
        chosen = [*soon[:members], *random.Random(self.schedule.seed + len(asked)).sample(anybody, members)]
        for phone, member_id in chosen:
            if member_id not in asked:
                asked.add(member_id)
                said = self.standin.post("reply-sms", **{"from": phone, "body": "STOP"})
                self.stops[said["sid"]] = member_id

    def _pause(self) -> None:
        """A coordinator pauses the campaign and thinks better of it."""
        assert self.campaign is not None
        with suppress(Conflict):  # it is not frozen yet, or over
            campaigns.pause(self.campaign)
            time.sleep(0.3)
            campaigns.resume(self.campaign)

    # The end

    def settle(self) -> None:
        """Nothing breaks any more: until every message has its end and every receipt is dealt with."""
        self.gate.orders.clear()
        self._calm()
        ends = time.monotonic() + SETTLES + 4 * config.current().unknown_grace_email
        while not self._settled():
            assert time.monotonic() < ends, f"not settled: {self._state()}"
            self.crew.keep_going()
            if not self._no_events:
                self._somebody_opens()
            time.sleep(0.25)

    def _calm(self) -> None:
        requests.delete(f"{self.standin.url}/sandbox/api/provoke", timeout=10)
        self._mute()

    def _mute(self) -> None:
        for channel in self.schedule.mute:
            self.standin.provoke("silent", channel, times=None)

    def _somebody_opens(self) -> None:
        """An event about another email: they are arriving at all, which is what makes silence mean something."""
        store = self.standin.app.extensions["sandbox"]
        row = store.one("SELECT id FROM mail WHERE direction = 'outbound' ORDER BY n LIMIT 1 OFFSET ?", self.opened)
        if row is not None:
            self.opened += 1
            self.standin.post("act", mail_id=row["id"], act="open")

    def _settled(self) -> bool:
        try:
            states = record.standing()
            frozen = self._campaign_state() not in (CampaignState.SCHEDULED,) and states.total() >= self.schedule.people
            open_ = record.still_open(states) - (self._honestly_unknown() if self._no_events else 0)
            return frozen and not open_ and not record.on_their_way(self.standin.app) and not record.unread()
        except SQLAlchemyError:
            return False

    def _campaign_state(self) -> CampaignState:
        with db.reading() as session:
            return campaigns.get(session, self.campaign).state  # type: ignore[arg-type]

    def _honestly_unknown(self) -> int:
        """Emails that nobody can tell anything about, because no events come: shown to a coordinator."""
        with db.reading() as session:
            return sum(g.count for g in unsettled.groups(session) if g.channel == ChannelName.EMAIL)

    def _state(self) -> dict[str, Any]:
        return {
            "campaign": self._campaign_state(), "states": dict(record.standing()), "taken": self._taken(),
            "on their way": record.on_their_way(self.standin.app), "unread": record.unread(),
        }  # fmt: skip
