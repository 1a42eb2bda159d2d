"""What a coordinator may load. Every list and every page of the console goes through these (DESIGN section 8).

A circle coordinator sees the members of their own circles with masked contact details, and exports nothing.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select, true
from sqlalchemy.orm import Session

from service.errors import Forbidden, NotFound
from service.models.campaigns import Campaign
from service.models.conversations import Conversation, Flag
from service.models.gatherings import Circle, CircleMembership, CircleStaff, GroupSession
from service.models.giving import Gift
from service.models.members import Member
from service.models.staff import Coordinator, Role


def sees_everything(coordinator: Coordinator) -> bool:
    """Whether nothing is kept from them but settings."""
    return coordinator.role != Role.CIRCLE_COORDINATOR


def sees_addresses(coordinator: Coordinator) -> bool:
    """Whether numbers and addresses are shown whole."""
    return sees_everything(coordinator)


def access_circles(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on Circle: those that this coordinator may see."""
    if sees_everything(coordinator):
        return true()
    return or_(
        Circle.coordinator_id == coordinator.id,
        exists().where(CircleStaff.circle_id == Circle.id, CircleStaff.coordinator_id == coordinator.id),
    )


def access_members(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on Member: those that this coordinator may see."""
    if sees_everything(coordinator):
        return true()
    own = select(Circle.id).where(access_circles(coordinator))
    return exists().where(
        CircleMembership.member_id == Member.id,
        CircleMembership.left_at.is_(None),
        CircleMembership.circle_id.in_(own),
    )


def access_conversations(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on Conversation: those with members that they may see; strangers' only for those who see everything."""
    if sees_everything(coordinator):
        return true()
    return Conversation.member_id.in_(select(Member.id).where(access_members(coordinator)))


def access_flags(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on Flag: those in conversations that they may read."""
    if sees_everything(coordinator):
        return true()
    return Flag.conversation_id.in_(select(Conversation.id).where(access_conversations(coordinator)))


def access_sessions(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on GroupSession: those of circles that they may see."""
    if sees_everything(coordinator):
        return true()
    return GroupSession.circle_id.in_(select(Circle.id).where(access_circles(coordinator)))


def access_gifts(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on Gift: for a circle coordinator only those that are meant for their own circles."""
    if sees_everything(coordinator):
        return true()
    return Gift.circle_id.in_(select(Circle.id).where(access_circles(coordinator)))


def access_campaigns(coordinator: Coordinator) -> ColumnElement[bool]:
    """A clause on Campaign: for a circle coordinator only those to their own circles."""
    if sees_everything(coordinator):
        return true()
    return Campaign.circle_id.in_(select(Circle.id).where(access_circles(coordinator)))


def require_conversation(session: Session, coordinator: Coordinator, conversation_id: UUID) -> Conversation:
    """The conversation, if this coordinator may read it. Raises NotFound: what is hidden is not even confirmed."""
    found = session.scalar(
        select(Conversation).where(Conversation.id == conversation_id, access_conversations(coordinator))
    )
    if found is None:
        raise NotFound("There is no such conversation, or it belongs to another circle.")
    return found


def require_flag(session: Session, coordinator: Coordinator, flag_id: UUID) -> Flag:
    """The safety flag, if this coordinator may read its conversation. Raises NotFound."""
    found = session.scalar(select(Flag).where(Flag.id == flag_id, access_flags(coordinator)))
    if found is None:
        raise NotFound("There is no such flag, or it belongs to another circle.")
    return found


def require_circle(session: Session, coordinator: Coordinator, circle_id: UUID) -> Circle:
    """The circle, if this coordinator may see it. Raises NotFound."""
    found = session.scalar(select(Circle).where(Circle.id == circle_id, access_circles(coordinator)))
    if found is None:
        raise NotFound("There is no such circle, or it is another coordinator's.")
    return found


def require_session(session: Session, coordinator: Coordinator, session_id: UUID) -> GroupSession:
    """The session of a circle, if this coordinator may see that circle. Raises NotFound."""
    found = session.scalar(select(GroupSession).where(GroupSession.id == session_id, access_sessions(coordinator)))
    if found is None:
        raise NotFound("There is no such session, or it belongs to another circle.")
    return found


def require_gift(session: Session, coordinator: Coordinator, gift_id: UUID) -> Gift:
    """What somebody passed on, if this coordinator may read it. Raises NotFound."""
    found = session.scalar(select(Gift).where(Gift.id == gift_id, access_gifts(coordinator)))
    if found is None:
        raise NotFound("It is not here. Its author may have taken it back, or it belongs to another circle.")
    return found


def require_campaign(session: Session, coordinator: Coordinator, campaign_id: UUID) -> Campaign:
    """The campaign, if this coordinator may see it. Raises NotFound."""
    found = session.scalar(select(Campaign).where(Campaign.id == campaign_id, access_campaigns(coordinator)))
    if found is None:
        raise NotFound("There is no such campaign, or it belongs to another circle.")
    return found


def require_own_circle(session: Session, coordinator: Coordinator, circle_id: UUID | None) -> None:
    """Raises Forbidden when a circle coordinator reaches beyond their own circles."""
    if sees_everything(coordinator):
        return
    allowed = session.scalar(select(Circle.id).where(Circle.id == circle_id, access_circles(coordinator)))
    if allowed is None:
        raise Forbidden("You can send to your own circles. Choose one of them, or ask another coordinator.")
