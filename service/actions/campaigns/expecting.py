"""What a campaign will bring: how many answers, who is there to read them, and when each message can leave."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import clock, config
from service.actions import audience as audiences
from service.actions import zones
from service.actions.delivery.rules import next_opening
from service.models.campaigns import Campaign, CampaignKind, Delivery
from service.models.members import ChannelName, Member
from service.models.staff import Coordinator, DutyShift

REPLY_RATE: dict[CampaignKind, float] = {
    CampaignKind.CHECKIN: 0.35,
    CampaignKind.INVITE: 0.45,
    CampaignKind.STORY: 0.12,
    CampaignKind.PROMPT: 0.15,
    CampaignKind.TOOL: 0.05,
    CampaignKind.ANNOUNCEMENT: 0.05,
}
"""Replies per message within two days, where this installation has no history of its own: a cautious guess."""
LOOK_BACK = 10
"""Campaigns of the same kind, and messages in them, that make a history."""
ENOUGH = 100
READ_FOR = timedelta(days=2)
"""Answers come within this time, so somebody should be there for so long."""
SLACK = timedelta(minutes=5)
"""Between two shifts this is no gap."""
SOON = timedelta(minutes=2)
"""What leaves within this counts as leaving at once."""


@dataclass(frozen=True)
class ExpectedReplies:
    """How many answers a campaign may bring, and who is there to read them."""

    low: int
    high: int
    from_history: bool
    on_duty: list[str]
    gap_from: datetime | None
    """The first moment in the two days after sending when nobody is on duty; None if somebody always is."""


def expected_replies(
    session: Session, kind: CampaignKind, people: int, when: datetime | None = None
) -> ExpectedReplies:
    """What to expect in the two days after sending `people` messages of a kind, against the rota."""
    begin = when or clock.now()
    rate, history = _rate(session, kind)
    shifts = _shifts(session, begin, begin + READ_FOR)
    names = list(dict.fromkeys(name for start, _, name in shifts if start <= begin + timedelta(hours=12)))
    gap = _first_gap([(s, e) for s, e, _ in shifts], begin, begin + READ_FOR)
    return ExpectedReplies(round(people * rate * 0.6), ceil(people * rate * 1.4), history, names, gap)


def rota_gap(session: Session, begin: datetime, until: datetime) -> datetime | None:
    """The first moment between the two when nobody is on duty; None if somebody always is."""
    return _first_gap([(s, e) for s, e, _ in _shifts(session, begin, until)], begin, until)


def _shifts(session: Session, begin: datetime, until: datetime) -> list[tuple[datetime, datetime, str]]:
    rows = session.execute(
        select(DutyShift.starts_at, DutyShift.ends_at, Coordinator.name)
        .join(Coordinator, Coordinator.id == DutyShift.coordinator_id)
        .where(DutyShift.ends_at > begin, DutyShift.starts_at < until, Coordinator.active.is_(True))
        .order_by(DutyShift.starts_at, DutyShift.tier)
    )
    return [(start, end, name) for start, end, name in rows]


def _rate(session: Session, kind: CampaignKind) -> tuple[float, bool]:
    """Answers per message of the last few campaigns of a kind, and whether they were enough to go by."""
    lately = (
        select(Campaign.id)
        .where(Campaign.kind == kind, Campaign.started_at > clock.now() - timedelta(days=90))
        .order_by(Campaign.id.desc())
        .limit(LOOK_BACK)
    )
    sent, answered = session.execute(
        select(func.count(Delivery.sending_at), func.count(Delivery.answered_at)).where(
            Delivery.campaign_id.in_(lately)
        )
    ).one()
    return (answered / sent, True) if sent >= ENOUGH else (REPLY_RATE[kind], False)


def _first_gap(shifts: Sequence[tuple[datetime, datetime]], begin: datetime, end: datetime) -> datetime | None:
    covered = begin
    for start, stop in sorted(shifts):
        if start > covered + SLACK:
            return covered
        covered = max(covered, stop)
        if covered >= end:
            return None
    return covered if covered < end else None


@dataclass(frozen=True)
class Outlook:
    """For how many copies the sending window is open when a campaign begins, and until when the others wait.

    A member's own quiet hours, caps and open questions come on top: they are judged when each message leaves.
    """

    at_once: int
    later: int
    last: datetime | None
    """When the window has opened for everybody; None where nobody waits."""


def outlook(session: Session, campaign: Campaign, begin: datetime, local: str | None = None) -> Outlook:
    """When copies may leave if the campaign begins at `begin`, or at `local` on each member's own clock."""
    audience = audiences.of_campaign(campaign)
    by_zone: Counter[str] = Counter()
    for channel in audience.channels:
        zone = audiences.recipients(audience, channel, Member.time_zone).subquery().c.time_zone
        for name, count in session.execute(select(zone, func.count()).group_by(zone)):
            by_zone[name or "UTC"] += count
    at_once = later = 0
    last: datetime | None = None
    for name, count in by_zone.items():
        wanted = zones.local_moment(name, local) if local else begin
        opens = next_opening(wanted, *zones.offsets(name, wanted), *config.current().window)
        if opens <= wanted + SOON:
            at_once += count
        else:
            later += count
            last = max(last or opens, opens)
    return Outlook(at_once, later, last)


@dataclass(frozen=True)
class Reach:
    """Whom a campaign reaches: people, the copies on each channel, and who is left out and why."""

    people: int
    by_channel: dict[ChannelName, int]
    left_out: dict[str, int]
    """reason (a key of audience.REASONS) → members"""

    @property
    def copies(self) -> int:
        """Messages that will leave: more than people where somebody chose both channels."""
        return sum(self.by_channel.values())

    @property
    def missed(self) -> int:
        """Members who are left out."""
        return sum(self.left_out.values())


def reach(session: Session, campaign: Campaign) -> Reach:
    """Count a campaign's audience as it stands now. For pages: it reads every member in scope."""
    audience = audiences.of_campaign(campaign)
    counted = audiences.summary(session, audience)
    return Reach(counted.people - _twice(session, audience), counted.by_channel, counted.left_out)


def _twice(session: Session, audience: audiences.Audience) -> int:
    """How many get a copy on both channels."""
    if len(audience.channels) < 2:
        return 0
    first, second = (audiences.recipients(audience, c).subquery() for c in audience.channels)
    both = select(func.count()).select_from(first).join(second, second.c[0] == first.c[0])
    return session.scalar(both) or 0
