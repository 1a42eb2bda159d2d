"""A whole small world on loopback: the service, the stand-in providers, and words for what people do in it.

Nothing is mocked: texts leave through the official client, arrive on a phone of the stand-in, and come back signed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask
from werkzeug.serving import make_server

from service import clock, db
from service.actions import campaigns, consent, contacts, conversations, delivery, ledger, zones
from service.models.campaigns import CampaignKind
from service.models.gatherings import Circle, CircleMembership, GroupSession
from service.models.members import Address, ChannelName, ConsentKind, Member, MemberState, SubscriptionState, Topic
from tests.sandbox.standin import Standin

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL


@dataclass
class World:
    """The running service and its stand-in. `work()` is what the workers would do by themselves."""

    standin: Standin
    url: str
    queues: tuple[str, ...] = field(default=("replies", "texts", "emails"))
    """The queues that somebody works on."""

    def work(self, seconds: float = 8.0) -> None:
        """Do everything that is due, until nothing more comes: no webhook on its way, nothing to send."""
        ends = time.monotonic() + seconds
        quiet = 0
        while quiet < 2 and time.monotonic() < ends:
            done = conversations.process_inbound() + campaigns.start_due()
            done += sum(delivery.drain(name) for name in self.queues)
            waiting = self.standin.get("counts")["waiting"]
            quiet = quiet + 1 if not done and not waiting else 0
            time.sleep(0.02)
        campaigns.finish_done()

    def text(self, phone: str, words: str) -> None:
        """A member writes a text, and everything that follows happens."""
        self.standin.post("reply-sms", **{"from": phone, "body": words})
        self._arrive()
        self.work()

    def answer_mail(self, box: str, words: str, **more: Any) -> None:
        """A member answers the newest mail in their box."""
        newest = [m for m in self.standin.mails(box) if m["direction"] == "outbound"][-1]
        self.standin.post("reply-email", mail_id=newest["id"], text=words, **more)
        self._arrive()
        self.work()

    def _arrive(self) -> None:
        ends = time.monotonic() + 5
        while self.standin.get("counts")["waiting"] and time.monotonic() < ends:
            time.sleep(0.02)

    def phone(self, number: str) -> list[str]:
        """The texts that reached a phone, oldest first."""
        return [t["body"] for t in self.standin.texts(number) if t["direction"] != "inbound"]

    def mailbox(self, box: str) -> list[dict[str, Any]]:
        """The mails that reached a box, oldest first."""
        return [m for m in self.standin.mails(box) if m["direction"] == "outbound"]


def serve(app: Flask, port: int) -> Callable[[], None]:
    """Serve the service on a loopback port; returns what stops it."""
    import threading

    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()

    return stop


def add_member(
    name: str, phone: str | None = None, email: str | None = None, *, zone: str = "America/New_York",
    locale: str = "en", prefers: ChannelName | None = None, circle: Circle | None = None, **more: Any,
) -> Member:  # fmt: skip
    """A member who has confirmed everything."""
    now = clock.now()
    with db.transaction() as session:
        zones.ensure(session, [zone])
        country = contacts.country_of(phone) if phone else more.pop("country", "US")
        member = Member(
            id=db.uuid7(), first_name=name, locale=locale, time_zone=zone, country=country,
            state=MemberState.ACTIVE, preferred_channel=prefers, joined_at=now, created_at=now, adult_confirmed_at=now,
            **more,
        )  # fmt: skip
        session.add(member)
        for channel, value in ((SMS, phone), (EMAIL, email)):
            if value is None:
                continue
            member.addresses.append(
                Address(
                    channel=channel, value=value, index_hash=db.blind_index(channel, value), country=country,
                    verified_at=now, created_at=now,
                )
            )  # fmt: skip
            for topic in Topic:
                consent.add_subscription(member, topic, channel)
            ledger_topics = ledger.in_order(Topic)
            session.flush()
            consent.record(
                session, member.id, ConsentKind.CONFIRMED, channel=channel, topics=ledger_topics, source="test"
            )
        for subscription in member.subscriptions:
            subscription.state = SubscriptionState.ACTIVE
        if circle is not None:
            session.add(CircleMembership(circle_id=circle.id, member_id=member.id, joined_at=now))
    return member


def add_circle(name: str = "Tuesday Circle", keyword: str = "TUESDAY") -> Circle:
    """An open circle with a session in three days."""
    now = clock.now()
    with db.transaction() as session:
        circle = Circle(
            id=db.uuid7(),
            name=name,
            slug=keyword.lower(),
            keyword=keyword,
            time_zone="America/New_York",
            created_at=now,
        )
        session.add(circle)
        session.flush()
        starts = (now + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
        session.add(
            GroupSession(circle_id=circle.id, starts_at=starts, ends_at=starts + timedelta(hours=1), created_at=now)
        )
    return circle


def send(kind: CampaignKind, texts: str = "", mail: str = "", subject: str = "Hello", **more: Any) -> Any:
    """Compose and start a campaign, skipping the window; returns its id."""
    contents = []
    if texts:
        contents.append(campaigns.ContentDraft(SMS, "en", texts))
    if mail:
        contents.append(campaigns.ContentDraft(EMAIL, "en", mail, subject))
    override = more.pop("override", True)
    draft = campaigns.Draft(
        name=str(kind), kind=kind, channels=tuple(c.channel for c in contents), contents=tuple(contents), **more
    )
    campaign_id = campaigns.create(draft)
    campaigns.start(campaign_id, override=override)
    return campaign_id
