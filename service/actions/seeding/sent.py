"""The campaigns that went out in the last two weeks, copy by copy, and the one that waits as a draft."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from service import db
from service.actions import audience as audiences
from service.actions import zones
from service.actions.campaigns.run import LIFETIMES, QUEUE_OF
from service.actions.delivery.facts import AFTER_LOSS
from service.actions.delivery.writing import STOP_LINE_EVERY
from service.actions.seeding.consents import pause_began
from service.actions.seeding.ground import Ground, Row, hexed
from service.models.campaigns import (
    ASKS,
    KIND_PRIORITY,
    Asks,
    Campaign,
    CampaignContent,
    CampaignKind,
    CampaignState,
    Delivery,
    DeliveryState,
    Purpose,
    Schedule,
)
from service.models.content import StoryRead
from service.models.members import Address, AddressState, ChannelName, Member, Topic

WEEK = timedelta(days=7)
PACE = timedelta(milliseconds=400)
"""Between two copies of a campaign."""


@dataclass(frozen=True)
class _Copy:
    """One recipient of a campaign on one channel, and when it left for them."""

    row: Row
    member: Member
    address: Address
    at: datetime


def campaigns(ground: Ground) -> None:
    """Every campaign in the order in which it left; a draft comes last."""
    for row in sorted(ground.rows.campaigns, key=lambda row: row.get("sent", ground.now)):
        campaign = _campaign(ground, row)
        ground.campaigns[row["key"]] = campaign
        ground.session.add(campaign)
        ground.session.flush()
        ground.did(campaign.created_at, campaign.created_by, "campaign.create", campaign)
        if campaign.state == CampaignState.FINISHED:
            _send(ground, row, campaign)
            ground.did(row["sent"], campaign.created_by, "campaign.start", campaign)
    ground.session.flush()


def _campaign(ground: Ground, row: Row) -> Campaign:
    created = row.get("sent", ground.now) - timedelta(hours=20)
    languages = [row["language"]] if "language" in row else []
    campaign = Campaign(
        id=db.uuid7(),
        name=row["name"],
        kind=CampaignKind(row["kind"]),
        topic=Topic(row["topic"]),
        state=CampaignState(row["state"]),
        channels=",".join(row["channels"]),
        audience={"languages": languages, "member_ids": []},
        circle_id=ground.circles[row["circle"]].id if "circle" in row else None,
        session_id=ground.meetings[row["session"]].id if "session" in row else None,
        story_id=ground.stories[row["story"]].id if "story" in row else None,
        tool_id=ground.tools[row["tool"]].id if "tool" in row else None,
        schedule=Schedule(row.get("schedule", Schedule.NOW)),
        created_by=ground.staff[row["created_by"]].id,
        created_at=created,
        updated_at=created,
    )
    for content in row["content"]:
        campaign.contents.append(
            CampaignContent(
                id=db.uuid7(),
                channel=ChannelName(content["channel"]),
                language=content["language"],
                subject=content.get("subject", ""),
                body=content["body"].strip(),
            )
        )
    return campaign


def _send(ground: Ground, row: Row, campaign: Campaign) -> None:
    troubles = {trouble["member"]: trouble for trouble in row.get("trouble", ())}
    last = row["sent"]
    for number, copy in enumerate(_copies(ground, row, campaign)):
        key = copy.row["key"]
        delivery = _delivery(ground, campaign, copy, number)
        if reason := _skipped(ground, campaign, copy):
            delivery.state, delivery.reason = DeliveryState.SKIPPED, reason
        else:
            _left(ground, campaign, delivery, copy, troubles.get(key))
        ground.sent.setdefault((row["key"], key), []).append(delivery)
        ground.session.add(delivery)
        last = max(last, delivery.updated_at)
    ground.session.flush()
    _remember_story(ground, campaign)
    made = [copy for (name, _), copies in ground.sent.items() if name == row["key"] for copy in copies]
    campaign.audience_size = len(made)
    campaign.scheduled_at = campaign.frozen_at = campaign.started_at = min(d.due_at for d in made)
    campaign.expires_at = campaign.started_at + LIFETIMES[campaign.kind]
    campaign.finished_at = campaign.updated_at = last
    if campaign.schedule == Schedule.LOCAL:
        campaign.local_time = _on_the_wall(ground, row)


def _copies(ground: Ground, row: Row, campaign: Campaign) -> list[_Copy]:
    """Whom it went to: who may have it by the one query, less those who were not there yet or took a break."""
    spec = audiences.of_campaign(campaign)
    keys = {member.id: key for key, member in ground.members.items()}
    found = []
    for channel in campaign.channel_names:
        for member_id, _ in ground.session.execute(audiences.recipients(spec, channel)):
            theirs = ground.row_of(keys[member_id])
            member = ground.members[theirs["key"]]
            at = _moment(ground, row, member)
            away = "paused" in theirs and pause_began(theirs, ground.now) <= at
            if theirs["joined"] < at and not away:
                address = member.address(channel)
                assert address is not None
                found.append(_Copy(theirs, member, address, at))
    return sorted(found, key=lambda copy: (copy.at, copy.member.id, copy.address.channel))


def _moment(ground: Ground, row: Row, member: Member) -> datetime:
    """When it left for a member: at one moment for all, or at that hour on their own clock."""
    sent: datetime = row["sent"]
    if row.get("schedule") == Schedule.LOCAL:
        return zones.local_moment(member.time_zone, _on_the_wall(ground, row))
    return sent


def _on_the_wall(ground: Ground, row: Row) -> str:
    zone = ZoneInfo(ground.staff[row["created_by"]].time_zone)
    return f"{row['sent'].astimezone(zone):%Y-%m-%dT%H:%M}"


def _delivery(ground: Ground, campaign: Campaign, copy: _Copy, number: int) -> Delivery:
    channel = copy.address.channel
    asks = ASKS.get(campaign.kind)
    if asks == Asks.ME_TOO and not _may_answer_me_too(ground, campaign.story_id):
        asks = None
    return Delivery(
        campaign_id=campaign.id,
        member_id=copy.member.id,
        address_id=copy.address.id,
        channel=channel,
        purpose=Purpose.CAMPAIGN,
        queue=QUEUE_OF[channel],
        priority=KIND_PRIORITY[campaign.kind],
        topic=campaign.topic,
        asks=asks,
        due_at=copy.at,
        created_at=copy.at,
        updated_at=copy.at + PACE * number,
    )


def _may_answer_me_too(ground: Ground, story_id: UUID | None) -> bool:
    return any(story.id == story_id and story.me_too_allowed for story in ground.stories.values())


def _skipped(ground: Ground, campaign: Campaign, copy: _Copy) -> str | None:
    """What the claim would have said: no hope story soon after a loss, and no more a week than the member wants."""
    loss, cap = copy.member.loss_on, copy.member.weekly_cap
    if campaign.kind == CampaignKind.STORY and loss and loss + AFTER_LOSS > copy.at.date():
        return "after_loss"
    week = [
        each
        for (_, member), copies in ground.sent.items()
        for each in copies
        if member == copy.row["key"] and each.campaign_id != campaign.id and each.sending_at
        and each.sending_at > copy.at - WEEK
    ]  # fmt: skip
    return "stale" if cap and len({d.campaign_id for d in week}) >= cap else None


def _left(ground: Ground, campaign: Campaign, delivery: Delivery, copy: _Copy, trouble: Row | None) -> None:
    """It went out, and what became of it; the address and the story remember."""
    left = delivery.updated_at
    state = DeliveryState(trouble["state"]) if trouble else DeliveryState.DELIVERED
    identity = (campaign.name, copy.row["key"], delivery.channel)
    delivery.attempts = 1
    delivery.sending_at, delivery.sent_at = left, left + timedelta(milliseconds=350)
    delivery.updated_at = left + timedelta(seconds=3 + len(copy.row["key"]))
    delivery.state, delivery.error_code = state, trouble.get("code") if trouble else None
    delivery.provider_id = f"SM{hexed(32, *identity)}" if delivery.channel == ChannelName.SMS else hexed(22, *identity)
    if delivery.channel == ChannelName.EMAIL:
        delivery.request_id = UUID(hexed(32, campaign.name))
    if delivery.channel == ChannelName.SMS and _untold(copy.address, left):
        copy.address.introduced_at = left
    if state == DeliveryState.BOUNCED:
        copy.address.state = AddressState.BOUNCED


def _remember_story(ground: Ground, campaign: Campaign) -> None:
    """A story is read once, by whichever copy left first."""
    if campaign.story_id is None:
        return
    first: dict[UUID, datetime] = {}
    for copies in ground.sent.values():
        for copy in copies:
            if copy.campaign_id == campaign.id and copy.member_id and copy.sending_at:
                first.setdefault(copy.member_id, copy.sending_at)
    for member_id, at in first.items():
        ground.session.add(StoryRead(story_id=campaign.story_id, member_id=member_id, at=at))


def _untold(address: Address, at: datetime) -> bool:
    """Whether a text of that moment said how to stop."""
    return address.introduced_at is None or address.introduced_at < at - STOP_LINE_EVERY
