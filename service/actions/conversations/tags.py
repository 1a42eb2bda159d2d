"""Words that coordinators put on conversations, to find them again. They are encrypted, and found by a keyed hash."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from service import db
from service.actions import access, audit
from service.errors import Invalid, NotFound
from service.models.conversations import Conversation
from service.models.inbox import ConversationTag, Tag
from service.models.staff import Coordinator

LONGEST = 30
MOST = 12
"""Tags on one conversation; more would be a note."""


def add(conversation_id: UUID, coordinator: Coordinator, name: str) -> Tag:
    """Put a tag on a conversation, made if there is none of that name. Raises NotFound, Invalid (field `tag`)."""
    name = " ".join(name.split())
    if not name:
        raise Invalid("Write the tag, a word or two.", field="tag")
    if len(name) > LONGEST:
        raise Invalid(f"A tag has {LONGEST} letters at most. Longer things are better kept as a note.", field="tag")
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        digest = db.blind_index("tag", name.casefold())
        tag = session.scalar(select(Tag).where(Tag.name_hash == digest))
        if tag is None:
            tag = Tag(id=db.uuid7(), name=name, name_hash=digest)
            session.add(tag)
            session.flush()
        if session.get(ConversationTag, (conversation.id, tag.id)) is None:
            held = select(func.count()).where(ConversationTag.conversation_id == conversation.id)
            if (session.scalar(held) or 0) >= MOST:
                raise Invalid(f"There are {MOST} tags already. Take one off first.", field="tag")
            session.add(ConversationTag(conversation_id=conversation.id, tag_id=tag.id))
            audit.record(session, str(coordinator.id), "conversation.tagged", conversation)
        return tag


def remove(conversation_id: UUID, coordinator: Coordinator, tag_id: UUID) -> None:
    """Take a tag off; one that is on no conversation any more is forgotten. Raises NotFound."""
    with db.transaction() as session:
        conversation = access.require_conversation(session, coordinator, conversation_id)
        found = session.get(ConversationTag, (conversation.id, tag_id))
        if found is None:
            raise NotFound("That tag is not on this conversation any more.")
        session.delete(found)
        session.flush()
        if session.scalar(select(ConversationTag.tag_id).where(ConversationTag.tag_id == tag_id).limit(1)) is None:
            session.execute(delete(Tag).where(Tag.id == tag_id))
        audit.record(session, str(coordinator.id), "conversation.untagged", conversation)


def known(session: Session, coordinator: Coordinator) -> list[Tag]:
    """Every tag on a conversation that this coordinator may read, by name."""
    used = (
        select(ConversationTag.tag_id)
        .join(Conversation, Conversation.id == ConversationTag.conversation_id)
        .where(ConversationTag.tag_id == Tag.id, access.access_conversations(coordinator))
    )
    return sorted(session.scalars(select(Tag).where(used.exists())), key=lambda tag: tag.name.casefold())


def of(session: Session, conversation_ids: Collection[UUID]) -> dict[UUID, list[Tag]]:
    """The tags of each of these conversations, by name."""
    rows = session.execute(
        select(ConversationTag.conversation_id, Tag)
        .join(Tag, Tag.id == ConversationTag.tag_id)
        .where(ConversationTag.conversation_id.in_(conversation_ids))
    )
    found: dict[UUID, list[Tag]] = {}
    for conversation_id, tag in rows:
        found.setdefault(conversation_id, []).append(tag)
    return {id_: sorted(tags, key=lambda tag: tag.name.casefold()) for id_, tags in found.items()}


def carries(tag_id: UUID | None) -> ColumnElement[bool] | None:
    """A clause on Conversation: it has this tag. None for no tag."""
    if tag_id is None:
        return None
    return Conversation.id.in_(select(ConversationTag.conversation_id).where(ConversationTag.tag_id == tag_id))
