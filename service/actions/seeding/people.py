"""The demo's coordinators with their rota, and its members with addresses, subscriptions and the proof of each."""

from datetime import UTC, datetime, time, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

from service import config, db
from service.actions import contacts, staff, zones
from service.actions.seeding import consents
from service.actions.seeding.ground import Ground, Row
from service.models.members import Address, ChannelName, Member, MemberState, Subscription, SubscriptionState, Topic
from service.models.staff import Coordinator, DutyShift, Role

_SUBSCRIBED: dict[MemberState, SubscriptionState] = {
    MemberState.ACTIVE: SubscriptionState.ACTIVE,
    MemberState.PENDING: SubscriptionState.PENDING,
    MemberState.LEFT: SubscriptionState.STOPPED,
}


def coordinators(ground: Ground, password: str) -> None:
    """Everybody signs in with the same password, so that each role can be looked at."""
    hashed = staff.hashed(password)
    for row in ground.rows.coordinators:
        person = Coordinator(
            id=db.uuid7(),
            email=row["email"],
            name=row["name"],
            role=Role(row["role"]),
            phone=contacts.normal(ChannelName.SMS, row["phone"]),
            time_zone=row["time_zone"],
            password_hash=hashed,
            created_at=ground.founded,
        )
        ground.staff[row["key"]] = person
    ground.session.add_all(ground.staff.values())
    ground.session.flush()


def rota(ground: Ground) -> None:
    """The shifts from yesterday, for whoever is on duty over midnight, to the end of the last week."""
    for row in ground.rows.duty:
        person = ground.staff[row["coordinator"]]
        zone = ZoneInfo(person.time_zone)
        today = ground.now.astimezone(zone).date()
        starts, ends = time.fromisoformat(row["from"]), time.fromisoformat(row["until"])
        for day in (today + timedelta(days=n) for n in range(-1, 7 * ground.rows.weeks + 1)):
            if day.weekday() in row["weekdays"]:
                last = day if ends > starts else day + timedelta(days=1)
                shift = DutyShift(
                    id=db.uuid7(),
                    coordinator_id=person.id,
                    starts_at=datetime.combine(day, starts, zone).astimezone(UTC),
                    ends_at=datetime.combine(last, ends, zone).astimezone(UTC),
                    tier=row["tier"],
                )
                ground.session.add(shift)


def members(ground: Ground) -> None:
    """Every member as they stood before the campaigns of the last weeks went out: pauses and flags come after them."""
    zones.ensure(ground.session, chain((row["time_zone"] for row in ground.rows.members), ["UTC"]))
    for row in ground.rows.members:
        member = _member(row)
        for channel, value in ((ChannelName.SMS, row.get("phone")), (ChannelName.EMAIL, row.get("email"))):
            if value:
                member.addresses.append(_address(row, channel, value))
                member.subscriptions += _subscriptions(row, channel)
        ground.members[row["key"]] = member
    ground.session.add_all(ground.members.values())
    ground.session.flush()
    for key, member in ground.members.items():
        consents.joined(ground, ground.row_of(key), member)
    ground.session.flush()


def _member(row: Row) -> Member:
    state = MemberState(row.get("state", MemberState.ACTIVE))
    begin, end = config.parse_window(row["window"]) if "window" in row else (None, None)
    return Member(
        id=db.uuid7(),
        first_name=row["first_name"],
        locale=row["locale"],
        time_zone=row["time_zone"],
        country=row["country"],
        state=state,
        discreet=row.get("discreet", False),
        adult_confirmed_at=row["joined"],
        preferred_channel=ChannelName(row["preferred"]) if "preferred" in row else None,
        both_channels=row.get("both", False),
        weekly_cap=row.get("weekly_cap"),
        window_from=begin,
        window_to=end,
        loss_on=row.get("loss"),
        joined_at=None if state == MemberState.PENDING else row["joined"],
        created_at=row["joined"],
        demo=True,
    )


def _address(row: Row, channel: ChannelName, value: str) -> Address:
    value = contacts.normal(channel, value)
    return Address(
        id=db.uuid7(),
        channel=channel,
        value=value,
        index_hash=db.blind_index(channel, value),
        country=contacts.country_of(value) if channel == ChannelName.SMS else "",
        created_at=row["joined"],
    )


def _subscriptions(row: Row, channel: ChannelName) -> list[Subscription]:
    state = _SUBSCRIBED[MemberState(row.get("state", MemberState.ACTIVE))]
    changed = row.get("left", row["joined"])
    return [
        Subscription(id=db.uuid7(), topic=topic, channel=channel, state=state, changed_at=changed)
        for topic in Topic
        if topic in row["topics"]
    ]
