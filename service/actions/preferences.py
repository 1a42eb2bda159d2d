"""What a member may change by a signed link: topics, breaks, how often, when, and leaving in one tap.

A link proves less than a sign-in (phones are shared, mail is forwarded): it changes settings and shows no more than
it must. What is held is behind a code to another address (`actions.held`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock, config
from service.actions import consent, contacts, times, zones
from service.actions.giving import wishes
from service.actions.hope import topics
from service.actions.leaving import existing
from service.actions.new_members import LANGUAGES
from service.db import reading, transaction
from service.errors import Conflict, Invalid, NotFound
from service.models.members import ChannelName, Member, MemberState, SubscriptionState, Topic

DAY = 24 * 60
SHORTEST_WINDOW = 60
"""Minutes. A window shorter than this would keep nearly everything from arriving."""
MOST_A_WEEK = 21
PAUSES = {"week": timedelta(days=7), "month": timedelta(days=30)}


class Done(StrEnum):
    """What was done, for the line that confirms it; pages have the words."""

    TOPIC_ON = "topic_on"
    TOPIC_WAITS = "topic_waits"  # switched on for an address that is not confirmed yet
    TOPIC_OFF = "topic_off"
    OFTEN = "often"
    WINDOW = "window"
    TIME_ZONE = "time_zone"
    LANGUAGE = "language"
    DISCREET = "discreet"
    NEWS = "news"  # whether an author hears how many felt what they shared
    NOTES = "notes"
    CHANNEL = "channel"
    LEFT_OUT = "left_out"
    PAUSED = "paused"
    RESUMED = "resumed"
    LEFT = "left"


@dataclass(frozen=True)
class Line:
    """One thing that was done, with what it was done to (a topic and channel, or the new value)."""

    done: Done
    about: str = ""


@dataclass(frozen=True)
class AddressView:
    """An address as the page may show it."""

    channel: ChannelName
    masked: str
    confirmed: bool
    stopped: bool
    """Everything was stopped here: only START from the address itself begins again."""


@dataclass(frozen=True)
class View:
    """The settings of one member."""

    member_id: UUID
    first_name: str
    locale: str
    language: str
    country: str
    time_zone: str
    discreet: bool
    news: bool
    weekly_cap: int
    """0: no limit of their own."""
    window: tuple[int, int]
    """Minutes after midnight."""
    paused_until: datetime | None
    channel: str
    """`sms`, `email`, `both`, or "" for no preference."""
    left: bool
    addresses: tuple[AddressView, ...]
    on: frozenset[tuple[Topic, ChannelName]]
    """What is on, or will be once the address is confirmed."""
    story_topics: tuple[tuple[str, str, bool], ...] = ()
    """(topic, its name, whether it is left out) of what stories are about."""
    notes: bool = False
    """Whether they would like a kind note from another member now and then."""


@dataclass(frozen=True)
class Changes:
    """What the page sends; None leaves a thing as it is."""

    on: frozenset[tuple[Topic, ChannelName]] | None = None
    weekly_cap: int | None = None
    window: tuple[int, int] | None = None
    time_zone: str | None = None
    language: str | None = None
    discreet: bool | None = None
    news: bool | None = None
    channel: str | None = None
    left_out: frozenset[str] | None = None
    """Topics of which no stories should come."""
    notes: bool | None = None


def view(member_id: UUID) -> View:
    """The settings of a member. Raises NotFound for one who is not there any more."""
    with reading() as session:
        return _view(session, _present(session, member_id))


def save(member_id: UUID, changes: Changes, *, link_channel: ChannelName) -> list[Line]:
    """Make the changes; what was done, in the page's order. Raises Invalid beside its field, Conflict, NotFound."""
    with transaction() as session:
        member = _present(session, member_id)
        source = f"settings page ({link_channel})"
        lines = _save_topics(session, member, changes.on, source) if changes.on is not None else []
        if changes.left_out is not None and topics.leave_out(session, member.id, changes.left_out):
            lines.append(Line(Done.LEFT_OUT))
        lines += _save_settings(session, member, changes)
        if changes.notes is not None and changes.notes != wishes.receives(session, member.id):
            wishes.receive(session, member.id, changes.notes, source)
            lines.append(Line(Done.NOTES, "on" if changes.notes else "off"))
        return lines


def pause(member_id: UUID, choice: str, day: date | None = None, *, link_channel: ChannelName) -> datetime:
    """Take a break: `week`, `month`, or `day` with the day on which messages begin again. Returns that moment.

    Raises Invalid for a day that is over, or none.
    """
    with transaction() as session:
        member = _present(session, member_id)
        if choice in PAUSES:
            until = clock.now() + PAUSES[choice]
        elif choice == "day" and day is not None:
            until = times_at_midnight(day, member)
        else:
            raise Invalid("Choose how long the break should be.", field="pause")
        return consent.pause(session, member, until, source=f"settings page ({link_channel})")


def resume(member_id: UUID, *, link_channel: ChannelName) -> bool:
    """End a break; whether there was one."""
    with transaction() as session:
        member = _present(session, member_id)
        return consent.resume(session, member, source=f"settings page ({link_channel})")


def leave(member_id: UUID, *, link_channel: ChannelName) -> None:
    """Leave altogether, in one tap: everything stops on every channel."""
    with transaction() as session:
        consent.stop(session, _present(session, member_id), source=f"settings page ({link_channel}): leave")


def unsubscribe(member_id: UUID, channel: ChannelName, topic: Topic | None, *, source: str) -> None:
    """Behind the unsubscribe link: out of one topic on one channel, without a topic out of the channel (RFC 8058).

    Repeating it, or for a member who is gone, does nothing and is no error: the link works as long as the mail exists.
    """
    with transaction() as session:
        member = session.get(Member, member_id)
        if member is not None and member.state not in consent.GONE:
            consent.stop(session, member, channel=channel, topics=[topic] if topic else [], source=source)


def undo_unsubscribe(member_id: UUID, channel: ChannelName, topic: Topic, *, source: str) -> bool:
    """ "That was a mistake", on the page after the button: only for a topic, never for a stop of everything."""
    with transaction() as session:
        return consent.set_subscription(session, _present(session, member_id), topic, channel, True, source=source)


def times_at_midnight(day: date, member: Member) -> datetime:
    """The beginning of a day on the member's clock."""
    return zones.local_moment(member.time_zone or "UTC", f"{day:%Y-%m-%d}T00:00")


def day_for(moment: datetime, member: Member) -> str:
    """A day as the member would say it."""
    return times.day(moment, member.time_zone or "UTC", member.locale)


def _view(session: Session, member: Member) -> View:
    settings = config.current()
    window = (member.window_from, member.window_to)
    return View(
        member_id=member.id,
        first_name=member.first_name,
        locale=member.locale,
        language=member.language,
        country=member.country,
        time_zone=member.time_zone,
        discreet=member.discreet,
        news=not member.no_news,
        weekly_cap=_weekly_cap(member),
        window=(window[0], window[1]) if window[0] is not None and window[1] is not None else settings.window,
        paused_until=member.paused_until if member.paused_until and member.paused_until > clock.now() else None,
        channel="both" if member.both_channels else (member.preferred_channel or ""),
        left=member.state == MemberState.LEFT,
        addresses=tuple(
            AddressView(
                channel=a.channel,
                masked=contacts.mask(a.channel, a.value),
                confirmed=a.verified_at is not None,
                stopped=consent.suppressed(session, a.channel, a.value),
            )
            for a in member.addresses
        ),
        on=frozenset((s.topic, s.channel) for s in member.subscriptions if s.state != SubscriptionState.STOPPED),
        story_topics=tuple(topics.offered(session, member.id, member.language)),
        notes=wishes.receives(session, member.id),
    )


def _present(session: Session, member_id: UUID) -> Member:
    member = existing(session, member_id)
    if member.state in consent.GONE:
        raise NotFound("These settings are no longer here.")
    return member


def _save_topics(
    session: Session, member: Member, wanted: frozenset[tuple[Topic, ChannelName]], source: str
) -> list[Line]:
    """Switch the grid to what is wanted. Channels that are stopped altogether, or have no address, are left alone."""
    lines = []
    for address in _view(session, member).addresses:
        if address.stopped:
            continue
        for topic in Topic:
            on = (topic, address.channel) in wanted
            if consent.set_subscription(session, member, topic, address.channel, on, source=source):
                waits = on and not address.confirmed
                done = Done.TOPIC_WAITS if waits else Done.TOPIC_ON if on else Done.TOPIC_OFF
                lines.append(Line(done, f"{topic}:{address.channel}"))
    return lines


def _save_settings(session: Session, member: Member, changes: Changes) -> list[Line]:
    lines: list[Line] = []

    def put(done: Done, values: Mapping[str, Any], about: str = "") -> None:
        before = {name: getattr(member, name) for name in values}
        if before != dict(values):
            for name, value in values.items():
                setattr(member, name, value)
            lines.append(Line(done, about))

    if changes.weekly_cap is not None and changes.weekly_cap != _weekly_cap(member):
        if not 0 <= changes.weekly_cap <= MOST_A_WEEK:
            raise Invalid("Choose how many messages a week.", field="weekly_cap")
        put(Done.OFTEN, {"weekly_cap": changes.weekly_cap}, str(changes.weekly_cap))
    if changes.window is not None and changes.window != _view(session, member).window:
        start, end = changes.window
        if not (0 <= start and end <= DAY and end - start >= SHORTEST_WINDOW):
            raise Invalid("Choose a later end: at least an hour after the beginning.", field="window_to")
        put(Done.WINDOW, {"window_from": start, "window_to": end}, f"{start}-{end}")
    if changes.time_zone:
        if not zones.valid(changes.time_zone):
            raise Invalid("Choose a time zone from the list.", field="time_zone")
        zones.ensure(session, [changes.time_zone])
        put(Done.TIME_ZONE, {"time_zone": changes.time_zone}, changes.time_zone)
    if changes.language is not None and changes.language != member.language:
        if changes.language not in LANGUAGES:
            raise Invalid("Choose English or Spanish.", field="language")
        locale = f"{changes.language}-{member.country}" if member.country else changes.language
        put(Done.LANGUAGE, {"locale": locale}, changes.language)
    if changes.discreet is not None:
        put(Done.DISCREET, {"discreet": changes.discreet}, "on" if changes.discreet else "off")
    if changes.news is not None:
        put(Done.NEWS, {"no_news": not changes.news}, "on" if changes.news else "off")
    if changes.channel is not None:
        put(Done.CHANNEL, _channel_values(member, changes.channel), changes.channel)
    return lines


def _weekly_cap(member: Member) -> int:
    return config.current().weekly_cap if member.weekly_cap is None else member.weekly_cap


def _channel_values(member: Member, wanted: str) -> dict[str, Any]:
    if wanted in ("", "both"):
        return {"both_channels": wanted == "both", "preferred_channel": None}
    if wanted not in [a.channel.value for a in member.addresses]:
        raise Conflict("We have no such address of yours.")
    return {"both_channels": False, "preferred_channel": ChannelName(wanted)}
