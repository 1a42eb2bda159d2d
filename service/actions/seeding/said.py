"""What members of the demo needed to say, and who of them would like a note now and then."""

from datetime import timedelta

from sqlalchemy import select

from service import db
from service.actions.seeding.ground import Ground, chance
from service.models.conversations import Conversation, Direction, Message
from service.models.encouragement import NoteWish
from service.models.members import ChannelName, MemberState
from service.models.vents import Vent, VentPiece

SHARE = 0.35
"""Of the members, who would like a note."""
READ_AFTER = timedelta(hours=13)


def wishes(ground: Ground) -> None:
    """Some said on their page that they would like one."""
    for key, member in ground.members.items():
        if member.state == MemberState.ACTIVE and member.joined_at and chance("wants a note", key) < SHARE:
            ground.session.add(
                NoteWish(
                    member_id=member.id, receives=True, receives_at=member.joined_at + timedelta(hours=1),
                    receives_source="settings page (sms)", gives=False,
                )
            )  # fmt: skip
    ground.session.flush()


def vents(ground: Ground) -> None:
    """Each with the message that brought it."""
    reader = next(c.id for c in ground.staff.values() if c.role == "safeguarding")
    for row in ground.rows.vents:
        member, at = ground.members[row["member"]], row["at"]
        channel = ChannelName.SMS if member.address(ChannelName.SMS) is not None else ChannelName.EMAIL
        thread = ground.session.scalar(select(Conversation).where(Conversation.member_id == member.id))
        if thread is None:
            thread = Conversation(id=db.uuid7(), member_id=member.id, channel=channel, created_at=at, unread=0)
            ground.session.add(thread)
            ground.session.flush()
        thread.last_in_at = max(filter(None, (thread.last_in_at, at)))
        message = Message(
            id=db.uuid7(), conversation_id=thread.id, member_id=member.id, direction=Direction.IN, channel=channel,
            body=row["words"], at=at, labels={"did": "vent"},
        )  # fmt: skip
        read_at = at + READ_AFTER if row.get("read") else None
        vent = Vent(
            id=db.uuid7(), member_id=member.id, channel=channel, words=row["words"], pieces=1, opened_at=at, last_at=at,
            closed_at=at, keep_days=row["keep_days"], forget_at=at + timedelta(days=row["keep_days"]), letters="",
            heard_at=at, read_at=read_at, read_by=reader if read_at else None, told_at=read_at,
        )  # fmt: skip
        ground.session.add_all([message, vent])
        ground.session.flush()
        ground.session.add(VentPiece(vent_id=vent.id, message_id=message.id))
        ground.heard(member, at)
    ground.session.flush()
