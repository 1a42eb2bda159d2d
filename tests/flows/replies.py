"""People, numbers and looks into the database that the stories of replies share."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from service import clock, db
from service.actions import consent
from service.actions import new_members as newcomers
from service.models.campaigns import CampaignKind
from service.models.content import Story, StoryState
from service.models.gatherings import GroupSession, Invitation, Rsvp
from service.models.members import Member, Subscription, SubscriptionState, Topic
from service.models.staff import Coordinator, DutyShift, Role
from tests.flows.talk import NOON, SMS, Talk

ANA, BEN = "+12025550123", "+12025550145"
MAIL = "ana@example.org"
MAYA = "+12025550199"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def later(**more: float) -> Any:
    return clock.frozen_at(clock.now() + timedelta(**more))


def count(model: Any) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def of(member: Member) -> Member:
    with db.reading() as session:
        return session.get_one(Member, member.id)


def on(member: Member, topic: Topic = Topic.STORIES) -> dict[str, SubscriptionState]:
    with db.reading() as session:
        rows = session.scalars(
            select(Subscription).where(Subscription.member_id == member.id, Subscription.topic == topic)
        )
        return {row.channel.value: row.state for row in rows}


def stopped(channel: Any, address: str) -> bool:
    with db.reading() as session:
        return consent.suppressed(session, channel, address)


def on_duty() -> Coordinator:
    with db.transaction() as session:
        maya = Coordinator(
            id=db.uuid7(), email="maya@hearthline.example", name="Maya Ortiz", role=Role.SAFEGUARDING, phone=MAYA,
            created_at=NOON,
        )  # fmt: skip
        session.add(maya)
        session.flush()
        session.add(DutyShift(coordinator_id=maya.id, starts_at=NOON, ends_at=NOON + 9 * DAY, tier=1))
    return maya


def meeting(circle: Any = None, **more: Any) -> GroupSession:
    with db.transaction() as session:
        circle = circle or add_circle_in(session)
        starts = NOON + 3 * DAY
        values = {"starts_at": starts, "ends_at": starts + HOUR, "created_at": NOON} | more
        found = GroupSession(id=db.uuid7(), circle_id=circle.id, **values)
        session.add(found)
    return found


def add_circle_in(session: Any) -> Any:
    from service.models.gatherings import Circle

    circle = Circle(
        id=db.uuid7(), name="Sunday Circle", slug="sunday", keyword="SUNDAY", time_zone="UTC", created_at=NOON
    )
    session.add(circle)
    session.flush()
    return circle


def add_story() -> Story:
    with db.transaction() as session:
        story = Story(
            id=db.uuid7(), title="T", body_email="It helped.", body_sms="It helped.", state=StoryState.PUBLISHED,
            created_at=NOON, updated_at=NOON,
        )  # fmt: skip
        session.add(story)
    return story


def rsvp_of(member: Member) -> Rsvp | None:
    with db.reading() as session:
        return session.scalar(select(Invitation.rsvp).where(Invitation.member_id == member.id))


def newcomer(phone: str = ANA) -> Member:
    with db.transaction() as session:
        member = newcomers.new_member(session, first_name="Nia", addresses={SMS: phone}, topics=Topic, country="US")
        newcomers.claim_question(session, SMS, phone)
        newcomers.ask(session, member, SMS)
    return member


def campaigns_reach(talk: Talk) -> list[str]:
    """Who a campaign reaches now."""
    talk.left.clear()
    talk.send(CampaignKind.TOOL, "Breathe.", "Breathe.")
    return [out.to for out in talk.left]
