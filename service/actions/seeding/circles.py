"""The demo's circles, their sessions of the last weeks and the next, who came and who said that they will."""

from datetime import datetime, timedelta

from service import clock, db
from service.actions import gatherings
from service.actions.seeding.ground import Ground, Row, chance
from service.models.gatherings import (
    Circle,
    CircleMembership,
    CircleStaff,
    GroupSession,
    Invitation,
    Openness,
    Rsvp,
)
from service.models.members import Member, MemberState

WEEKS_BEFORE = 8
AHEAD = timedelta(days=15)
"""Two meetings of a weekly circle, whatever the hour."""
FIRST_WEEKS = timedelta(weeks=8)
"""Whoever has lost somebody so lately has not come to a session yet."""


def circles(ground: Ground) -> None:
    """The circles, who looks after them, and who belongs to them."""
    for row in ground.rows.circles:
        ground.circles[row["key"]] = _circle(ground, row)
    ground.session.add_all(ground.circles.values())
    ground.session.flush()
    for row in ground.rows.circles:
        circle = ground.circles[row["key"]]
        for key in row["coordinators"]:
            ground.session.add(CircleStaff(circle_id=circle.id, coordinator_id=ground.staff[key].id))


def places(ground: Ground) -> None:
    """Each member's places in circles."""
    for row in ground.rows.members:
        for key in row["circles"]:
            circle, member = ground.circles[key], ground.members[row["key"]]
            place = CircleMembership(
                id=db.uuid7(),
                circle_id=circle.id,
                member_id=member.id,
                joined_at=row["joined"],
                left_at=row.get("left"),
                welcomed_at=row["joined"],
                door_told_at=ground.now,  # nothing leaves by itself in the first minutes of the demo
                anniversary_on=ground.now.date(),
            )
            ground.session.add(place)


def _circle(ground: Ground, row: Row) -> Circle:
    return Circle(
        id=db.uuid7(),
        name=row["name"],
        slug=row["slug"],
        keyword=row["keyword"],
        theme=row["theme"],
        description=row["description"].strip(),
        language=row["language"],
        time_zone=row["time_zone"],
        rrule=row["rrule"],
        starts_time=row["starts_time"],
        minutes=row["minutes"],
        place=row["place"],
        online_url=row["online_url"],
        size=row["size"],
        most_members=row.get("most_members"),
        openness=Openness(row["openness"]),
        coordinator_id=ground.staff[row["coordinators"][0]].id,
        created_at=ground.founded,
    )


def sessions(ground: Ground) -> None:
    """Plan each circle's sessions as they would have been planned eight weeks ago, and name the coming ones."""
    for plan in ground.rows.meetings:
        circle = ground.circles[plan["key"]]
        with clock.frozen_at(ground.now - timedelta(weeks=WEEKS_BEFORE)):
            planned = gatherings.plan_sessions(ground.session, circle, until=ground.now + AHEAD)
        coming = [s for s in planned if s.starts_at > ground.now]
        for number, (title, meeting) in enumerate(zip(plan["titles"], coming, strict=False), start=1):
            meeting.title = title
            ground.meetings[f"{plan['key']}#{number}"] = meeting
        for meeting in planned:
            if meeting.ends_at <= ground.now:
                _attendance(ground, plan["key"], meeting)
    ground.session.flush()


def _attendance(ground: Ground, circle: str, meeting: GroupSession) -> None:
    """Who answered the invite to a past session and who came, at most as many as there are seats."""
    seats = meeting.seats or len(ground.members)
    for row in ground.rows.members:
        member = ground.members[row["key"]]
        if circle in row["circles"] and _could_come(row, member, meeting):
            came = seats > 0 and chance("came", row["key"], meeting.starts_at.date()) < _faithful(row)
            seats -= came
            rsvp = _said(row, meeting, came)
            if came or rsvp:
                answered = meeting.starts_at - timedelta(
                    minutes=240 + int(3600 * chance("rsvp", row["key"], meeting.starts_at))
                )
                ground.session.add(_invitation(meeting, member, rsvp, answered if rsvp else None, came))


def _could_come(row: Row, member: Member, meeting: GroupSession) -> bool:
    mourns = "loss" in row and row["loss"] > (meeting.starts_at - FIRST_WEEKS).date()
    joined = member.state != MemberState.PENDING and row["joined"] < meeting.starts_at
    return joined and not mourns and row.get("left", meeting.ends_at) >= meeting.ends_at


def _faithful(row: Row) -> float:
    """How often somebody comes; invites reach only those who want them."""
    return (0.25 if "sessions" in row["topics"] else 0.1) + 0.6 * chance("faithful", row["key"])


def _said(row: Row, meeting: GroupSession, came: bool) -> Rsvp | None:
    """What they had answered: most of those who come say so, and some who say yes do not come."""
    if "sessions" not in row["topics"]:
        return None
    said = chance("said", row["key"], meeting.starts_at.date())
    if came:
        return Rsvp.YES if said < 0.6 else Rsvp.MAYBE if said < 0.7 else None
    return Rsvp.NO if said < 0.2 else Rsvp.MAYBE if said < 0.27 else Rsvp.YES if said < 0.33 else None


def rsvps(ground: Ground) -> None:
    """What members have answered so far about the coming sessions; an invite that asked is answered by that."""
    for row in ground.rows.rsvps:
        member, meeting = ground.members[row["member"]], ground.meetings[row["session"]]
        ground.session.add(_invitation(meeting, member, Rsvp(row["answer"]), row["at"], None))
        for campaign in ground.rows.campaigns:
            if campaign.get("session") == row["session"]:
                ground.answered(campaign["key"], row["member"], row["at"])
        ground.heard(member, row["at"])
    ground.session.flush()


def _invitation(
    meeting: GroupSession, member: Member, rsvp: Rsvp | None, answered: datetime | None, came: bool | None
) -> Invitation:
    return Invitation(
        id=db.uuid7(),
        session_id=meeting.id,
        member_id=member.id,
        rsvp=rsvp,
        waitlisted=False,
        attended=came,
        answered_at=answered,
        created_at=answered or meeting.starts_at,
    )
