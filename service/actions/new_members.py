"""A new member, the one question to an address, and the welcome: what every way in shares."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from service import clock, config, db
from service.actions import consent, contacts, ledger, member_links, outbox, zones
from service.actions.belonging import places, telling
from service.models.campaigns import Purpose
from service.models.conversations import Message
from service.models.gatherings import Circle
from service.models.members import Address, ChannelName, ConfirmationAsked, Member, MemberState, Topic

LANGUAGES = ("en", "es")


def new_member(
    session: Session,
    *,
    first_name: str = "",
    addresses: Mapping[ChannelName, str],
    topics: Iterable[Topic],
    locale: str = "en",
    country: str = "",
    time_zone: str = "",
    discreet: bool = False,
    adult: bool = True,
    circle_id: UUID | None = None,
    invited: bool = False,
) -> Member:
    """Add somebody who is not a member yet: PENDING, with nothing confirmed. The caller records the consent.

    `addresses` in their stored form (`contacts`). Country and time zone are guessed from the number where unknown.
    """
    now = clock.now()
    number = addresses.get(ChannelName.SMS)
    country = country or (contacts.country_of(number) if number else "")
    zone = time_zone if zones.valid(time_zone) else zones.guess(country, number)
    zones.ensure(session, [zone])
    member = Member(
        id=db.uuid7(),
        first_name=first_name,
        locale=locale,
        country=country,
        time_zone=zone,
        state=MemberState.PENDING,
        discreet=discreet,
        adult_confirmed_at=now if adult else None,
        created_at=now,
    )
    session.add(member)
    for channel, value in addresses.items():
        member.addresses.append(new_address(channel, value))
        for topic in ledger.in_order(topics):
            consent.add_subscription(member, topic, channel)
    session.flush()
    if circle_id is not None:
        join_circle(session, member, circle_id, invited=invited)
    return member


def new_address(channel: ChannelName, value: str) -> Address:
    """An address that nobody has confirmed yet; `value` in its stored form."""
    return Address(
        id=db.uuid7(),
        channel=channel,
        value=value,
        index_hash=db.blind_index(channel, value),
        country=contacts.country_of(value) if channel == ChannelName.SMS else "",
        created_at=clock.now(),
    )


def claim_question(session: Session, channel: ChannelName, value: str) -> bool:
    """Take the one right, ever, to ask this address to confirm; False when it was taken before.

    Two requests for one address at the same moment: the second waits here until the first is through.
    """
    digest = db.blind_index(channel, value)
    return ledger.insert_once(session, ConfirmationAsked, channel=channel, index_hash=digest, at=clock.now())


def ask(session: Session, member: Member, channel: ChannelName) -> Message | None:
    """Send the question that starts the 72 hours; None for a suppressed address. `claim_question` comes first."""
    address = member.address(channel)
    if address is None or consent.suppressed(session, channel, address.value):
        return None
    address.asked_at = clock.now()
    topics = ledger.in_order(s.topic for s in member.subscriptions if s.channel == channel)
    return outbox.say(
        session,
        member,
        "confirm_discreet" if member.discreet else "confirm",
        channel,
        Purpose.CONFIRM,
        {
            "topics": [t.value for t in topics],
            "per_week": config.current().weekly_cap,
            "confirm_url": member_links.confirm_url(address.id),
        },
    )


def welcome(session: Session, member: Member, channel: ChannelName) -> Message:
    """The first message after an address was confirmed: what comes, how often, and how to stop. After it comes what
    they have not been told yet about their circle.
    """
    address = member.address(channel)
    if address is not None:
        address.introduced_at = clock.now()
    per_week = config.current().weekly_cap if member.weekly_cap is None else member.weekly_cap
    said = outbox.say(session, member, "welcome", channel, Purpose.ANSWER, {"per_week": per_week})
    telling.tell(session, member, channel)
    return said


def join_circle(
    session: Session, member: Member, circle_id: UUID, *, invited: bool = False, chosen: bool = False
) -> bool:
    """Give the member a place in a circle, or one in its line (`places.enter`); whether they are in and were not."""
    circle = session.get(Circle, circle_id)
    if circle is None:
        return False
    return places.enter(session, member, circle, invited=invited, chosen=chosen) == places.Came.IN
