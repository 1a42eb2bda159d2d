"""What really happened, from the stand-in provider's own record, beside what the database says."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from service import db, links
from service.actions.delivery import unsettled
from service.models.campaigns import RANK, Delivery, DeliveryState
from service.models.conversations import WebhookEvent
from service.models.members import Address, ChannelName, Member, MemberState

OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)
LEFT = (DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED)


class Gate:
    """Stands before the stand-in: counts what it is asked to send, and acts at the n-th request."""

    def __init__(self, app: Flask, act: Callable[[str], None]) -> None:
        self._app, self._act = app.wsgi_app, act
        self._guard = threading.Lock()
        self._count: Counter[str] = Counter()
        self.orders: dict[tuple[str, int], str] = {}
        """(channel, n) → before or after: kill whoever sends on the channel around the n-th request."""
        app.wsgi_app = self  # type: ignore[method-assign]

    def soon(self, channel: str, when: str) -> None:
        """Act around the next request of a channel."""
        with self._guard:
            self.orders[channel, self._count[channel] + 1] = when

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"] if environ["REQUEST_METHOD"] == "POST" else ""
        channel = "sms" if path.endswith("/Messages.json") else "email" if path.endswith("/mail/send") else ""
        if not channel:
            return self._app(environ, start_response)
        with self._guard:
            self._count[channel] += 1
            when = self.orders.pop((channel, self._count[channel]), "")
        if when == "before":  # its bytes may have left all the same: the provider takes them
            self._act(channel)
        answer = self._app(environ, start_response)
        if when == "after":
            self._act(channel)
        return answer


def copies(sandbox: Flask) -> Counter[int]:
    """How many messages the provider has of each of our deliveries, whomever they went to."""
    store = sandbox.extensions["sandbox"]
    found: Counter[int] = Counter()
    for row in store.all("SELECT callback FROM text WHERE direction != 'inbound'"):
        token = row["callback"].partition("?d=")[2].partition("#")[0]
        found[links.read_delivery_token(token) or -1] += 1
    for row in store.all("SELECT personalization FROM mail WHERE direction = 'outbound'"):
        found[int((json.loads(row["personalization"]).get("custom_args") or {}).get("d", -1))] += 1
    return found


def taken(sandbox: Flask) -> int:
    """How many messages the provider has."""
    store = sandbox.extensions["sandbox"]
    row = store.one(
        "SELECT (SELECT COUNT(*) FROM text WHERE direction != 'inbound') + "
        "(SELECT COUNT(*) FROM mail WHERE direction = 'outbound') AS n"
    )
    return int(row["n"])


def on_their_way(sandbox: Flask) -> int:
    """Receipts and members' texts that the provider has still to bring."""
    return int(sandbox.extensions["sandbox"].one("SELECT COUNT(*) AS n FROM outbox")["n"])


def unread() -> int:
    """What the provider has brought and nobody has dealt with."""
    with db.reading() as session:
        return session.scalar(select(func.count()).where(WebhookEvent.processed_at.is_(None))) or 0


def standing(campaign_id: UUID | None = None) -> Counter[DeliveryState]:
    """How many deliveries are in each state."""
    statement = select(Delivery.state, func.count().label("n")).group_by(Delivery.state)
    if campaign_id:
        statement = statement.where(Delivery.campaign_id == campaign_id)
    with db.reading() as session:
        return Counter({row.state: row.n for row in session.execute(statement)})


def still_open(states: Counter[DeliveryState]) -> int:
    return sum(states[state] for state in OPEN)


@dataclass
class Watch:
    """Looks at every delivery now and then: a state that is final never goes back."""

    def __post_init__(self) -> None:
        self.wrong: list[str] = []
        self.looks = 0
        self._seen: dict[int, DeliveryState] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look a last time and stop."""
        self._over.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._over.wait(0.25):
            try:
                self._look()
            except SQLAlchemyError:  # the database is restarting
                continue

    def _look(self) -> None:
        with db.reading() as session:
            rows = session.execute(select(Delivery.id, Delivery.state)).all()
        for delivery_id, state in rows:
            before = self._seen.get(delivery_id)
            if before not in (None, *OPEN) and RANK[state] < RANK[before]:
                self.wrong.append(f"delivery {delivery_id} went from {before} back to {state}")
            self._seen[delivery_id] = state
        self.looks += 1


def check(sandbox: Flask, campaign_id: UUID, people: int, stops: dict[str, UUID], *, no_events: bool) -> None:
    """Fail unless the provider's record and the database tell one story, and it is the one that was promised.

    `stops`: the provider's id of each text that said STOP, with the member who wrote it. `no_events`: none came about
    emails, so that some may honestly be unknown.
    """
    sent = copies(sandbox)
    assert sent[-1] == 0, "the provider has messages that are nobody's"
    doubled = sorted(i for i, n in sent.items() if n > 1)
    assert not doubled, f"{len(doubled)} deliveries reached somebody more than once: {doubled[:10]}"
    with db.reading() as session:
        rows = list(session.scalars(select(Delivery)))
        shown = sum(group.count for group in unsettled.groups(session))
    of_campaign = [row for row in rows if row.campaign_id == campaign_id]
    assert len(of_campaign) == len({row.member_id for row in of_campaign}) == people
    assert set(+sent) <= {row.id for row in rows}, "the provider has a message of which we know nothing"
    for row in rows:
        _check_one(row, sent[row.id] == 1, set(stops.values()), no_events=no_events)
    assert shown == sum(row.state == DeliveryState.UNKNOWN for row in rows), "what is unknown is not shown to anybody"
    _nothing_after_stop(of_campaign, stops, sent)
    ids = Counter(row.provider_id for row in rows if row.channel == ChannelName.SMS and row.provider_id)
    assert not [one for one, n in ids.items() if n > 1], "two deliveries claim the same message of the provider"


def nobody_outside(sandbox: Flask, outside: Sequence[UUID]) -> None:
    """Whoever had stopped before has no message in our database, and none at the provider."""
    with db.reading() as session:
        assert not session.scalars(select(Delivery.id).where(Delivery.member_id.in_(outside))).all()
        theirs = set(session.scalars(select(Address.value).where(Address.member_id.in_(outside))))
    store = sandbox.extensions["sandbox"]
    sent = store.all("SELECT recipient AS a FROM text UNION SELECT mailbox FROM mail")
    assert theirs
    assert not theirs & {row["a"] for row in sent}, "somebody who had stopped got a message"


def _check_one(row: Delivery, got: bool, stopped: set[UUID], *, no_events: bool) -> None:
    where = f"delivery {row.id} ({row.channel}) is {row.state} {row.reason or ''}"
    if row.state in LEFT:
        assert got, f"{where}, and the provider has never seen it"
    elif row.state == DeliveryState.UNKNOWN:
        assert no_events, f"{where}, though it could have been settled"
        assert row.channel == ChannelName.EMAIL, where
    else:
        assert row.state == DeliveryState.SKIPPED, where
        assert row.member_id in stopped, f"{where}, though nothing forbade it"
        assert not got, f"{where}, and yet it left"


def _nothing_after_stop(rows: list[Delivery], stops: dict[str, UUID], sent: Counter[int]) -> None:
    """What left to somebody who stopped had been marked as leaving before the stop was dealt with."""
    asked = select(WebhookEvent.event_id, WebhookEvent.processed_at).where(WebhookEvent.event_id.in_(stops))
    with db.reading() as session:
        moments = {stops[sid]: at for sid, at in session.execute(asked)}
        left = select(Member.id).where(Member.id.in_(stops.values()), Member.state == MemberState.LEFT)
        assert set(session.scalars(left)) == set(stops.values()) == set(moments), "a STOP was not obeyed"
    for row in rows:
        stopped_at = moments.get(row.member_id) if row.member_id else None
        if stopped_at and sent[row.id]:
            assert row.sending_at is not None
            assert row.sending_at <= stopped_at, f"delivery {row.id} left after its member had stopped"
