"""The demo's consent ledger: for every address how it was asked and what it said, by the way in that each member took.

The lines are those that the real ways in would have written: joining by page or by text, and a list from a meeting.
"""

from datetime import datetime, timedelta

from service import config
from service.actions import consent_wording, ledger, member_links, outbox
from service.actions.seeding.ground import Ground, Row, chance
from service.models.members import (
    Address,
    ChannelName,
    ConfirmationAsked,
    ConsentEvent,
    ConsentKind,
    Member,
    MemberState,
    Suppression,
    Topic,
)

ON_PAPER = "form at a meeting"
BY_TEXT = "text JOIN"
_CONFIRMED_BY = {ChannelName.SMS: "sms: YES", ChannelName.EMAIL: "link in a mail"}
USUAL_PAUSE = timedelta(days=14)
"""What PAUSE by text gives."""


def joined(ground: Ground, row: Row, member: Member) -> None:
    """The lines of a new member, address by address, and what they mean for the addresses."""
    for address in member.addresses:
        if row["source"] == ON_PAPER:
            _imported(ground, row, member, address)
        else:
            _asked(ground, row, member, address)


def _imported(ground: Ground, row: Row, member: Member, address: Address) -> None:
    """Signed on paper, typed in later: proof came along, so nobody was asked again."""
    words = consent_wording.wording(address.channel, address.country or member.country, member.language)
    address.verified_at = row["joined"]
    about = {"source": ON_PAPER, "wording": words.text, "evidence": f"list of {row['joined']:%d %b %Y}, {words.key}"}
    coordinator = ground.staff[_coordinator_of(ground, row)]
    _line(ground, member, ConsentKind.IMPORTED, address, row["joined"], actor=ledger.staff(coordinator.id), **about)


def _asked(ground: Ground, row: Row, member: Member, address: Address) -> None:
    """The request and, but for those who have not answered yet, the yes that followed it."""
    asked = row["joined"]
    source, actor, ip = "join page", "member", f"203.0.113.{int(chance('ip', row['key']) * 254) + 1}"
    wording = consent_wording.wording(address.channel, address.country or member.country, member.language)
    words, evidence = wording.text, wording.key
    if row["source"] == BY_TEXT:
        words, evidence, ip, source = question(member, address)[1], "", "", "text: JOIN and ADULT"
        if address.channel == ChannelName.EMAIL:  # JOIN names no address: a coordinator added it two days later
            asked += timedelta(days=2)
            source = "address changed by staff"
            actor = ledger.staff(ground.staff[_coordinator_of(ground, row)].id)
    about = {"source": source, "wording": words, "evidence": evidence, "actor": actor}
    _line(ground, member, ConsentKind.REQUESTED, address, asked, ip=ip or None, **about)
    address.asked_at = asked
    _claim(ground, address, asked)
    if member.state == MemberState.PENDING:
        return
    confirmed = asked + timedelta(seconds=120 + int(2400 * chance("confirmed", row["key"], address.channel)))
    by_link = address.channel == ChannelName.EMAIL
    about = {"source": _CONFIRMED_BY[address.channel], "evidence": str(address.id) if by_link else ""}
    _line(ground, member, ConsentKind.CONFIRMED, address, confirmed, ip=(ip or None) if by_link else None, **about)
    address.verified_at = address.introduced_at = confirmed  # the welcome says how to stop
    ground.heard(member, confirmed)


def question(member: Member, address: Address) -> tuple[str, str]:
    """(subject, body) of the request to confirm."""
    facts = outbox.facts(member.country, member.language, member.first_name, discreet=member.discreet) | {
        "topics": [t.value for t in _topics(member, address)],
        "per_week": config.current().weekly_cap,
        "confirm_url": member_links.confirm_url(address.id),
    }
    return outbox.words_for(address.channel, "confirm_discreet" if member.discreet else "confirm", facts)


def stopped(ground: Ground, member: Member, channel: ChannelName, at: datetime, evidence: str) -> None:
    """STOP in their own words: the lines, and the mark that outlives the member."""
    address = member.address(channel)
    if address is None:
        return
    about = {"source": f"{channel}: in their words", "evidence": evidence}
    _line(ground, member, ConsentKind.STOPPED, address, at, topics="", **about)
    _line(ground, member, ConsentKind.SUPPRESSED, address, at, **about)
    ground.session.add(
        Suppression(channel=channel, index_hash=address.index_hash, reason="opt_out", source=channel.value, at=at)
    )


def breaks(ground: Ground) -> None:
    """Those who take a break until a day to come. It began a fortnight before its end, or a few days ago."""
    for row in ground.rows.members:
        if "paused" in row:
            member, begun = ground.members[row["key"]], pause_began(row, ground.now)
            member.paused_until = row["paused"]
            channel = member.addresses[0].channel
            event = ConsentEvent(
                member_id=member.id,
                kind=ConsentKind.PAUSED,
                source=f"settings page ({channel})",
                evidence=f"until {row['paused']:%Y-%m-%d %H:%M} UTC",
                at=begun,
            )
            ground.session.add(event)
            ground.heard(member, begun)
    ground.session.flush()


def pause_began(row: Row, now: datetime) -> datetime:
    """When a member's break began."""
    begun: datetime = row["paused"] - USUAL_PAUSE
    return begun if begun < now else now - timedelta(days=5)


def _line(
    ground: Ground,
    member: Member,
    kind: ConsentKind,
    address: Address,
    at: datetime,
    *,
    source: str,
    wording: str = "",
    evidence: str = "",
    actor: str = "member",
    ip: str | None = None,
    topics: str | None = None,
) -> None:
    event = ConsentEvent(
        member_id=member.id,
        kind=kind,
        channel=address.channel,
        topics=",".join(_topics(member, address)) if topics is None else topics,
        source=source,
        wording=wording,
        evidence=evidence,
        actor=actor,
        ip=ip,
        at=at,
    )
    ground.session.add(event)  # rows of one kind are written in the order of adding, and the ledger is read in it


def _topics(member: Member, address: Address) -> list[Topic]:
    return ledger.in_order(s.topic for s in member.subscriptions if s.channel == address.channel)


def _claim(ground: Ground, address: Address, at: datetime) -> None:
    """An address is asked once, ever; two members may share one."""
    if (address.channel, address.index_hash) not in ground.asked:
        ground.asked.add((address.channel, address.index_hash))
        ground.session.add(ConfirmationAsked(channel=address.channel, index_hash=address.index_hash, at=at))


def _coordinator_of(ground: Ground, row: Row) -> str:
    """Who looks after the member's first circle; the first of the staff for those without one."""
    circle = next((c for c in ground.rows.circles if c["key"] in row["circles"]), None)
    return str(circle["coordinators"][0] if circle else ground.rows.coordinators[0]["key"])
