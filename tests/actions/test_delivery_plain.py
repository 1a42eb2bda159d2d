"""The claim finds the many that nothing stands against by two lean queries, and judges the rest one by one. Whatever
members, campaigns and pasts come together, it must decide exactly as if it had judged each of them.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import zones
from service.actions.delivery import claims, history, judging
from service.config import Settings
from service.models import gatherings as g
from service.models.campaigns import (
    ASKS,
    COMPOSED,
    Asks,
    Budget,
    Campaign,
    CampaignKind,
    CampaignState,
    Delivery,
    DeliveryState,
)
from service.models.campaigns import Purpose as P
from service.models.content import Story, StoryRead, StoryState
from service.models.members import (
    Address,
    AddressState,
    ChannelName,
    Member,
    MemberState,
    Subscription,
    SubscriptionState,
    Suppression,
    Topic,
)

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
NOON = datetime(2026, 5, 5, 16, tzinfo=UTC)  # 12:00 in New York
TODAY = NOON.date()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MOMENTS = (NOON, NOON, NOON, NOON + 5 * HOUR + 59 * MINUTE, NOON + 12 * HOUR, NOON - 2 * HOUR)
S = DeliveryState
NUMBERS = itertools.count(1)

Change = tuple[str, dict[str, Any]]
"""What is unusual about one row: the table's name in `Case.rows`, and the values."""
TROUBLES: tuple[Change, ...] = (
    *[("member", {"state": state}) for state in MemberState],
    *[("member", {"held_at": at}) for at in (NOON, NOON - 9 * DAY)],
    *[("member", {"paused_until": NOON + d}) for d in (-DAY, timedelta(), MINUTE, 3 * DAY, 30 * DAY)],
    *[("member", {"loss_on": on}) for on in (TODAY, TODAY - timedelta(weeks=8), date(2024, 1, 1))],
    *[("member", {"weekly_cap": cap}) for cap in (0, 1, 2, 7)],
    *[("member", {"window_from": a * 60, "window_to": b * 60}) for a, b in ((7, 9), (20, 22), (0, 24), (12, 13))],
    *[("member", {"window_from": a, "window_to": b}) for a, b in ((540, None), (None, 700))],
    *[("member", {"time_zone": zone}) for zone in (
        "Asia/Tokyo", "Asia/Kolkata", "Europe/Madrid", "Pacific/Auckland", "America/Los_Angeles", "country:US",
        "country:MX", "country:AU", "", "UTC", "Mars/Base", "Africa/Nairobi")],
    ("address", {"state": AddressState.UNREACHABLE}),
    ("address", {"state": AddressState.BOUNCED}),
    ("address", {"state": AddressState.COMPLAINED}),
    ("address", {"verified_at": None}),
    ("address", {"country": "GB"}),
    ("address", {"state": AddressState.SILENT}),
    ("address", {"created_at": NOON - 91 * DAY}),
    ("address", {"created_at": NOON - 91 * DAY, "heard_at": NOON - 89 * DAY}),
    ("address", {"heard_at": NOON - 90 * DAY - MINUTE}),
    *[("address", {"heard_at": NOON - 99 * DAY, "still_asked_at": NOON - d}) for d in (HOUR, 49 * HOUR, 15 * DAY)],
    *[("other address", {"still_asked_at": NOON - d}) for d in (HOUR, 48 * HOUR, 15 * DAY)],
    ("no address", {}),
    ("suppressed", {}),
    ("taken", {}),
    *[("subscription", {"state": state}) for state in SubscriptionState],
    *[("subscription", {"state": SubscriptionState.PAUSED, "paused_until": NOON + d}) for d in (-DAY, DAY, 40 * DAY)],
    ("subscription", {"state": SubscriptionState.ACTIVE, "paused_until": NOON + DAY}),
    ("no subscription", {}),
    *[("campaign", {"state": state}) for state in CampaignState],
    *[("campaign", {"expires_at": NOON + d}) for d in (-DAY, timedelta(), 90 * MINUTE, 20 * DAY)],
    *[("story", {"state": state}) for state in StoryState],
    *[("story", {"consent_until": TODAY + timedelta(days=d)}) for d in (-1, 0, 1)],
    ("story", {"consent_sms": False}),
    ("story", {"consent_email": False}),
    ("read", {}),
    ("circle", {"on_hold": True}),
    ("membership", {"left_at": NOON}),
    ("no membership", {}),
    *[("meeting", {"starts_at": NOON + d}) for d in (-HOUR, timedelta(), 3 * HOUR, 9 * DAY)],
    ("meeting", {"state": g.SessionState.CANCELLED}),
)  # fmt: skip


NEEDS: dict[str, dict[str, Any]] = {
    "story": {"kind": CampaignKind.STORY},
    "read": {"kind": CampaignKind.STORY},
    "circle": {"place": "circle"},
    "membership": {"place": "circle"},
    "no membership": {"place": "circle"},
    "meeting": {"place": "meeting"},
    "other address": {"kind": CampaignKind.INVITE, "channel": EMAIL},
}
"""Without which a trouble is none."""


@dataclass(frozen=True)
class Past:
    """Another message to the member."""

    age: timedelta
    state: DeliveryState
    asks: Asks | None
    how: str
    """`plain`, `answered`, `story` (the same), `cancelled` (its session), `begun`, `own` (the other copy), `reply`."""


AGES = (
    MINUTE,
    20 * HOUR,
    24 * HOUR - MINUTE,
    24 * HOUR,
    47 * HOUR,
    48 * HOUR,
    3 * DAY,
    7 * DAY - MINUTE,
    7 * DAY,
    9 * DAY,
)
PASTS = tuple(
    Past(age, state, asks, how)
    for age in AGES
    for state in DeliveryState
    for asks in (None, *Asks)
    for how in ("plain", "answered", "story", "cancelled", "begun", "own", "reply")
)


@dataclass
class Case:
    """One member with one message that is due, and all that it hangs on."""

    channel: ChannelName = SMS
    kind: CampaignKind = CampaignKind.STORY
    place: str = ""
    """`circle`: for a circle; `meeting`: for a session, which names one."""
    override: bool = False
    twice: str = ""
    """`copy`: the other channel's copy is due as well; `more`: another campaign; `ask`: one that asks the same."""
    troubles: list[Change] = field(default_factory=list)
    pasts: list[Past] = field(default_factory=list)


CASES = st.builds(
    Case,
    channel=st.sampled_from([SMS, SMS, EMAIL]),
    kind=st.sampled_from(list(CampaignKind)),
    place=st.sampled_from(["", "circle", "meeting"]),
    override=st.sampled_from([False, False, False, True]),
    twice=st.sampled_from(["", "", "", "", "copy", "more", "ask"]),
    troubles=st.lists(st.sampled_from(TROUBLES), max_size=2),
    pasts=st.lists(st.sampled_from(PASTS), max_size=2),
)


class Ground:
    """Writes cases down, all of one table in one statement."""

    def __init__(self) -> None:
        self.rows: dict[Any, list[dict[str, Any]]] = {}
        self.ids: list[int] = []
        self.cases: dict[int, Case] = {}
        self.addresses: dict[tuple[UUID, ChannelName], UUID] = {}
        self.copies: set[UUID] = set()
        """Campaigns whose other copy is written down."""
        self.taken: set[UUID] = set()
        self.members: set[UUID] = set()

    def add(self, model: Any, **values: Any) -> dict[str, Any]:
        columns = model.__table__.columns
        row = {c.key: None for c in columns if c.nullable and c.default is None} | values
        if "id" in columns:
            row.setdefault("id", db.uuid7())
        self.rows.setdefault(model, []).append(row)
        return row

    def write(self, session: Session) -> None:
        order = (Member, Address, Subscription, Suppression, Story, StoryRead, g.Circle, g.CircleMembership)
        for model in (*order, g.GroupSession, Campaign, Delivery):
            together: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for row in self.rows.get(model, ()):
                together.setdefault(tuple(row), []).append(row)
            for rows in together.values():
                session.execute(insert(model), rows)

    def take(self, case: Case) -> None:
        """One case."""
        odd: dict[str, dict[str, Any]] = {}
        for name, values in case.troubles:
            odd.setdefault(name, {}).update(values)
            case = replace(case, **NEEDS.get(name, {}))
        member = self._member(case, odd)
        story = self._story(member, odd) if case.kind == CampaignKind.STORY or "story" in odd else None
        circle, meeting = self._place(case, member, odd)
        about = {
            "kind": case.kind, "story_id": story, "circle_id": circle if case.place == "circle" else None,
            "session_id": meeting, "override": case.override,
        }  # fmt: skip
        campaign = self._campaign(**about | odd.get("campaign", {}))
        self._delivery(case, member, campaign, case.channel, due=True)
        if case.twice == "copy":
            self._delivery(case, member, campaign, _other(case.channel), due=True)
        elif case.twice:
            second = self._campaign(**about | {"story_id": story if case.twice == "ask" else None})
            self._delivery(case, member, second, case.channel, due=True)
        for past in case.pasts:
            self._past(case, past, member, campaign, story)

    def _member(self, case: Case, odd: dict[str, dict[str, Any]]) -> UUID:
        values: dict[str, Any] = {
            "first_name": "Ana", "time_zone": "America/New_York", "country": "US", "state": MemberState.ACTIVE,
            "created_at": NOON - 9 * DAY,
        }  # fmt: skip
        member: UUID = self.add(Member, **values | odd.get("member", {}))["id"]
        self.members.add(member)
        if "taken" in odd:
            self.taken.add(member)
        for channel in ChannelName:
            mine = odd if channel == case.channel else {"address": odd.get("other address", {})}
            if "no address" not in mine:
                self._address(member, channel, mine)
            if "no subscription" not in mine:
                about = {"topic": Topic.STORIES, "channel": channel, "state": SubscriptionState.ACTIVE}
                about |= mine.get("subscription", {})
                self.add(Subscription, member_id=member, changed_at=NOON, **about)
        return member

    def _address(self, member: UUID, channel: ChannelName, odd: dict[str, dict[str, Any]]) -> None:
        digest = next(NUMBERS).to_bytes(32, "big")
        values: dict[str, Any] = {
            "state": AddressState.OK, "verified_at": NOON - 9 * DAY, "country": "US", "created_at": NOON - 9 * DAY,
        }  # fmt: skip
        values |= odd.get("address", {})
        value = "+12025550123" if channel == SMS else "ana@example.org"
        made = self.add(Address, member_id=member, channel=channel, value=value, index_hash=digest, **values)
        self.addresses[member, channel] = made["id"]
        if "suppressed" in odd:
            self.add(Suppression, channel=channel, index_hash=digest, reason="opt_out", at=NOON)

    def _story(self, member: UUID, odd: dict[str, dict[str, Any]]) -> UUID:
        values: dict[str, Any] = {"state": StoryState.PUBLISHED} | odd.get("story", {})
        story = self.add(
            Story, title="T", body_email="It helped.", body_sms="It helped.", created_at=NOON, updated_at=NOON, **values
        )
        if "read" in odd:
            self.add(StoryRead, story_id=story["id"], member_id=member, at=NOON - DAY)
        found: UUID = story["id"]
        return found

    def _place(self, case: Case, member: UUID, odd: dict[str, dict[str, Any]]) -> tuple[UUID | None, UUID | None]:
        if not case.place:
            return None, None
        key = f"C{next(NUMBERS)}"
        circle: UUID = self.add(
            g.Circle, name=key, slug=key, keyword=key, time_zone="America/New_York", created_at=NOON,
            **odd.get("circle", {}),
        )["id"]  # fmt: skip
        if "no membership" not in odd:
            self.add(
                g.CircleMembership, circle_id=circle, member_id=member, joined_at=NOON, **odd.get("membership", {})
            )
        return circle, self._meeting(circle, **odd.get("meeting", {})) if case.place == "meeting" else None

    def _meeting(self, circle: UUID, starts_at: datetime = NOON + 2 * DAY, **values: Any) -> UUID:
        about = {"starts_at": starts_at, "ends_at": starts_at + HOUR, "state": g.SessionState.PLANNED} | values
        found: UUID = self.add(g.GroupSession, circle_id=circle, created_at=NOON, **about)["id"]
        return found

    def _campaign(self, **values: Any) -> UUID:
        values = {"state": CampaignState.SENDING, "kind": CampaignKind.TOOL} | values
        found: UUID = self.add(Campaign, name="C", topic=Topic.STORIES, created_at=NOON, updated_at=NOON, **values)[
            "id"
        ]
        return found

    def _delivery(
        self, case: Case, member: UUID, campaign: UUID | None, channel: ChannelName, *, due: bool = False, **values: Any
    ) -> None:
        number = next(NUMBERS)
        address = self.addresses.get((member, channel))
        about: dict[str, Any] = {
            "campaign_id": campaign, "purpose": P.CAMPAIGN, "asks": ASKS.get(case.kind), "state": S.QUEUED,
            "override": case.override, "due_at": NOON - HOUR, "topic": Topic.STORIES,
        }  # fmt: skip
        self.add(
            Delivery, id=number, member_id=member, address_id=address, channel=channel, queue="texts", priority=50,
            created_at=NOON, updated_at=NOON, **about | values,
        )  # fmt: skip
        if due:
            self.ids.append(number)
            self.cases[number] = case

    def _past(self, case: Case, past: Past, member: UUID, campaign: UUID, story: UUID | None) -> None:
        own = past.how == "own" and case.twice != "copy"
        if own and campaign in self.copies:
            return  # there is one for each channel
        other: UUID | None = campaign
        if own:
            self.copies.add(campaign)
        else:
            about: dict[str, Any] = {"story_id": story if past.how == "story" else None}
            if past.how in ("cancelled", "begun"):
                key = f"C{next(NUMBERS)}"
                circle = self.add(g.Circle, name=key, slug=key, keyword=key, time_zone="UTC", created_at=NOON)["id"]
                gone = {"state": g.SessionState.CANCELLED} if past.how == "cancelled" else {"starts_at": NOON - HOUR}
                about["session_id"] = self._meeting(circle, **gone)
            other = None if past.how == "reply" else self._campaign(**about)
        went = past.state not in (S.QUEUED, S.SKIPPED)
        held = past.state in (S.QUEUED, S.SKIPPED)  # what is refused keeps its claim
        self._delivery(
            case, member, other, _other(case.channel) if own else case.channel, asks=past.asks, state=past.state,
            purpose=P.REPLY if past.how == "reply" else P.CAMPAIGN, sending_at=NOON - past.age if went else None,
            answered_at=NOON - past.age / 2 if past.how == "answered" else None,
            # A claim that holds, one that ran out, or none.
            claimed_until=NOON + (MINUTE if past.age < DAY else -MINUTE) if held and past.asks else None,
        )  # fmt: skip


def _other(channel: ChannelName) -> ChannelName:
    return EMAIL if channel == SMS else SMS


@pytest.fixture
def ground(database: db.Database, configure: Callable[..., Settings]) -> Iterator[Callable[..., Settings]]:
    configure(daily_cap=1, weekly_cap=3, sending_window="10:00-18:00")
    with clock.frozen_at(NOON):
        zones.refresh()
        with db.transaction() as session:
            zones.ensure(session, [z for _, v in TROUBLES if (z := v.get("time_zone")) and z != "Mars/Base"])
        yield configure


CAPS = ({"daily_cap": 1, "weekly_cap": 3}, {"daily_cap": 0, "weekly_cap": 0}, {"daily_cap": 2, "weekly_cap": 0})
EXAMPLES = {"sqlite": 90, "postgresql": 10}


def test_each_trouble_alone_is_judged_alike(ground: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = itertools.cycle(CampaignKind)
    cases = [
        Case(channel, next(kinds), override=override, twice=twice, troubles=[trouble])
        for trouble in TROUBLES
        for channel in ChannelName
        for override in (False, True)
        for twice in ("", "copy")
    ]
    seen: Counter[str] = Counter()
    for now in MOMENTS[2:]:
        seen += compare(cases, now, None, monkeypatch)
    cases = [Case(channel, kind) for channel in ChannelName for kind in COMPOSED]
    easy = compare(cases, NOON, None, monkeypatch)
    assert easy["plain"] == easy["rows"] == len(cases), "whom nothing stands against is found the lean way"
    seen += compare(cases, NOON, 3, monkeypatch)
    past = [Past(HOUR, S.SENT, Asks.YES_NO, "plain"), Past(HOUR, S.UNKNOWN, None, "story")]
    seen += compare([Case(kind=kind, pasts=[p]) for kind in COMPOSED for p in past], NOON, None, monkeypatch)
    weeks = [Past(DAY + n * HOUR, S.SENT, None, "plain") for n in (1, 40, 70, 100)]
    caps: list[list[Change]] = [[], *[[("member", {"weekly_cap": cap})] for cap in (0, 1, 2, 4, 7)]]
    seen += compare([Case(troubles=t, pasts=weeks[:n]) for t in caps for n in range(5)], NOON, None, monkeypatch)
    seen += compare([Case(kind=CampaignKind.CHECKIN, pasts=p) for p in unanswered()], NOON, None, monkeypatch)
    ground(daily_cap=0, weekly_cap=0)
    seen += compare([Case(kind=kind, pasts=[p]) for kind in COMPOSED for p in past], NOON, None, monkeypatch)
    assert seen.keys() >= REASONS, "a reason never came up, so nothing was tried"


def test_what_cannot_matter_costs_nobody_the_lean_way(
    ground: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`recent` may count too much, never too little; but what it counts for nothing sends thousands the long way."""
    no_matter = [
        Past(HOUR, S.SENT, Asks.YES_NO, "own"),
        Past(HOUR, S.SENT, Asks.YES_NO, "reply"),
        Past(7 * DAY, S.UNKNOWN, Asks.YES_NO, "plain"),
        Past(25 * HOUR, S.SENT, Asks.ME_TOO, "plain"),
        Past(25 * HOUR, S.SENT, Asks.YES_NO, "answered"),
        Past(HOUR, S.QUEUED, None, "plain"),
        Past(HOUR, S.SKIPPED, Asks.YES_NO, "plain"),
        Past(2 * DAY, S.QUEUED, Asks.YES_NO, "plain"),
    ]
    cases = [Case(SMS, kind, pasts=[past]) for past in no_matter for kind in (CampaignKind.INVITE, CampaignKind.STORY)]
    seen = compare(cases, NOON, None, monkeypatch)
    assert seen["plain"] == seen["rows"] == len(cases)


def unanswered() -> Iterator[list[Past]]:
    """Check-ins of the last months, none to seven, the last of them long or short ago, some of them answered."""
    for number, last, answered in itertools.product(range(8), (1, 3, 6, 7, 20, 28), (0, 1, 3, 9)):
        yield [
            Past((last + 4 * n) * DAY, S.DELIVERED, Asks.SCORE, "answered" if n + 1 == answered else "plain")
            for n in range(number)
        ]


@pytest.mark.parametrize("caps", CAPS[:2], ids=("caps", "no caps"))
def test_each_past_alone_is_judged_alike(
    ground: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, caps: dict[str, int]
) -> None:
    ground(**caps)
    kinds = itertools.cycle((CampaignKind.STORY, CampaignKind.INVITE, CampaignKind.CHECKIN, CampaignKind.TOOL))
    every = 1 if dialect() == "sqlite" else 11
    cases = [Case(SMS, next(kinds), pasts=[past]) for past in PASTS[::every]]
    cases += [Case(EMAIL, next(kinds), pasts=list(two)) for two in itertools.pairwise(PASTS[:: 5 * every])]
    compare(cases, NOON, None, monkeypatch)


@pytest.mark.slow
def test_any_mixture_is_judged_as_each_alone_would_be(
    ground: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES[dialect()],
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],  # `compare` names the very case; nothing has to be shrunk
    )
    @given(
        st.lists(CASES, min_size=12, max_size=16),
        st.sampled_from(MOMENTS),
        st.sampled_from(CAPS),
        st.sampled_from([*[None] * 7, 0, 3]),
    )
    def alike(cases: list[Case], now: datetime, caps: dict[str, int], cents: int | None) -> None:
        ground(**caps)
        seen.update(compare(cases, now, cents, monkeypatch))

    alike()
    assert 0.2 * seen["rows"] < seen["leaves"] < 0.8 * seen["rows"], "too few that leave, or too few that do not"
    assert seen["plain"] > 0.4 * seen["leaves"], "the lean way finds too little"


def dialect() -> str:
    return "sqlite" if db.current().is_sqlite else "postgresql"


def compare(cases: list[Case], now: datetime, cents: int | None, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Judge these the lean way and one by one, which must come to the same; how often each verdict came up."""
    made = Ground()
    for case in cases:
        made.take(case)
    free = made.members - made.taken if made.taken else None
    with (
        monkeypatch.context() as patch,
        db.current().write_session() as session,
        clock.frozen_at(now),
    ):
        patch.setattr(history, "lock", lambda *_: free)
        session.begin()
        made.write(session)
        if cents is not None:
            session.add(Budget(country="US", monthly_cents=cents, changed_at=NOON))
            session.flush()
        quick = judging.judge(session, made.ids, now)
        patch.setattr(judging, "_plain", lambda *_: {})
        each = judging.judge(session, made.ids, now)
        session.rollback()
    claim = db.uuid7()
    differ = [
        (made.cases[ours.id], verdict, other)
        for (ours, verdict), (theirs, other) in zip(quick, each, strict=True)
        if (ours.id, verdict) != (theirs.id, other)
        or (verdict is None and claims._claimed(ours, claim) != claims._claimed(theirs, claim))
    ]
    assert not differ, "the lean way said (second) what judging each does not (third)"
    seen = Counter(verdict.reason if verdict else "leaves" for _, verdict in each)
    seen["rows"] = len(each)
    seen["plain"] = sum(1 for row, _ in quick if getattr(row, "plain", False))
    return seen


REASONS = {
    "died", "left", "no_address", "suppressed", "unreachable", "not_confirmed", "topic_off", "left_circle",
    "session_cancelled", "stale", "story_withdrawn", "already_read", "after_loss", "held", "circle_rests", "paused",
    "story_rests", "story_on_its_way", "busy", "window", "cap", "open_question", "cancelled", "campaign_paused",
    "budget", "silent", "still_there", "quiet",
}  # fmt: skip
"""What keeps a campaign's message from leaving; each must have come up, or nothing was tried."""
