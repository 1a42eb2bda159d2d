"""What stands on the inbox's pages: the list of a folder, one conversation, and who it is with."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import canned, flag_reports, safety
from service.actions.conversations import card as cards
from service.actions.conversations import finding, folders, presence, promises, replying, tags, threads
from service.actions.conversations.folders import Folder, Line
from service.actions.conversations.threads import Entry, Thread
from service.models.conversations import Conversation, ConversationState
from service.models.members import Member
from service.models.staff import Coordinator
from service.web.auth import me
from service.web.console import inbox_words

FOLDERS = (
    (Folder.RISK, "Risk"),
    (Folder.NEEDS_REPLY, "Needs reply"),
    (Folder.MINE, "Mine"),
    (Folder.UNASSIGNED, "Unassigned"),
    (Folder.PROMISED, "Promised"),
    (Folder.SNOOZED, "Snoozed"),
    (Folder.HELD, "Held"),
    (Folder.RESOLVED, "Resolved"),
)
EMPTY = {
    Folder.RISK: ("No safety flag is open.", "When the screen or a person sees a risk, it stands here first."),
    Folder.NEEDS_REPLY: ("Nobody is waiting.", "New words from members come here by themselves."),
    Folder.MINE: ("Nothing waits for you.", "Conversations that are assigned to you stand here until they are done."),
    Folder.UNASSIGNED: ("Everything has somebody.", "What nobody has taken yet stands here."),
    Folder.PROMISED: (
        "Nothing is promised.",
        "A day that you name in a reply can be kept as a promise; it stands here.",
    ),
    Folder.SNOOZED: ("Nothing is snoozed.", "Snoozed conversations come back by themselves at their time."),
    Folder.HELD: ("Nothing is held.", "Words from numbers and addresses that no member has wait here for a person."),
    Folder.RESOLVED: ("Nothing resolved yet.", "Conversations with nothing left to do stand here."),
}
SHOWN = 60
"""How many messages of a conversation a page shows."""


@dataclass(frozen=True)
class Typed:
    """What was typed and could not be used: it comes back with the reason beside it."""

    part: str
    """Which form: reply, note, snooze, match, clear."""
    error: str
    values: dict[str, str]
    overtaken: bool = False


def page_of(conversation_id: UUID, typed: Typed | None = None, status: int = 200) -> ResponseReturnValue:
    """The page of a conversation, with what was `typed` if that could not be used."""
    with db.reading() as session:
        thread = threads.read(session, me(), conversation_id, limit=SHOWN, upto=upto())
        page = frame(session, conversation_id) | _opened(session, thread) | {"typed": typed}
        html = render_template("console/inbox/show.html", current=conversation_id, **page)
    replying.note_reading(conversation_id, me())
    return html, status


def folder_of(values: Any) -> Folder:
    """The folder that a request names; Needs reply for none, or for one that does not exist."""
    try:
        return Folder(values.get("folder", ""))
    except ValueError:
        return Folder.NEEDS_REPLY


def upto() -> UUID | None:
    """The message at which an earlier part of a conversation ends; None for its newest words."""
    return request.args.get("upto", type=UUID)


def frame(session: Session, current: UUID | None = None) -> dict[str, Any]:
    """The list with its folders; the neighbours of the opened conversation for j and k."""
    folder, query = folder_of(request.values), request.args.get("q", "").strip()
    tag, found = request.args.get("tag", type=UUID), None
    if query:
        before = request.args.get("before", type=UUID)
        lines = [] if before else folders.search(session, me(), query)
        found = finding.find(session, me(), query, before=before) if current is None else None
    else:
        lines = folders.folder(session, me(), folder, after=request.args.get("after", type=UUID), tag=tag)
    ids = [line.conversation.id for line in lines]
    at = ids.index(current) if current in ids else -1
    return {
        "folder": folder,
        "query": query,
        "lines": lines,
        "tag": tag,
        "known_tags": tags.known(session, me()),
        "tags_of": tags.of(session, ids),
        "found": found,
        "counts": folders.counts(session, me()),
        "empty_words": EMPTY[folder],
        "people": {c.id: c for c in session.scalars(select(Coordinator).order_by(Coordinator.name))},
        "next_id": ids[at + 1] if at + 1 < len(ids) else None,
        "previous_id": ids[at - 1] if at > 0 else None,
        "after": request.args.get("after"),
        "older": lines[-1].conversation.id if not query and len(lines) == folders.PAGE else None,
        "now": clock.now(),
        "list_mark": _mark(_line_facts(line) for line in lines),
    }


def _line_facts(line: Line) -> tuple[object, ...]:
    c = line.conversation
    return (c.id, c.state, c.risk, c.unread, c.last_in_at, c.assigned_to, c.promise_at)


def _opened(session: Session, thread: Thread) -> dict[str, Any]:
    conversation = thread.conversation
    ways = cards.ways(session, me(), conversation)
    promised, offered = promises.of(session, me(), conversation.id)
    return thread_parts(session, thread) | {
        "tags": tags.of(session, [conversation.id]).get(conversation.id, []),
        "promised": promised,
        "offered": offered,
        "today": promises.today(me()),
        "ways": ways,
        "open_ways": [way for way in ways if not way.reason],
        "card": cards.card(session, me(), thread.member) if thread.member else None,
        "name": _name(thread.conversation, thread.member),
        "seen": newest(thread),
        "canned": _canned(session, thread.member),
        "view": "member" if request.args.get("view") == "member" else "conversation",
        "matches": _matches(session, conversation),
        "match_query": request.args.get("member", ""),
    }


def thread_parts(session: Session, thread: Thread) -> dict[str, Any]:
    writing = presence.others_writing(session, thread.conversation.id, me())
    return {
        "writing": writing,
        "thread": thread,
        "conversation": thread.conversation,
        "flags": flag_reports.of(session, [f for f in thread.flags if f.cleared_at is None]),
        "clearable": {f.id for f in thread.flags if f.cleared_at is None and safety.may_clear(session, f, me())},
        "past_flags": flag_reports.of(session, [f for f in thread.flags if f.cleared_at is not None]),
        "thread_mark": mark(thread, writing),
        "member": thread.member,
        "fared": inbox_words.fared,
    }


def _name(conversation: Conversation, member: Member | None) -> str:
    if member is not None:
        return member.first_name
    if "unreadable" in conversation.tags:
        return "A message that could not be read"
    return folders.UNKNOWN.get(conversation.tags, "Unknown sender")


def _matches(session: Session, conversation: Conversation) -> list[Member]:
    if conversation.member_id is not None or conversation.state == ConversationState.RESOLVED:
        return []
    claimed = conversation.unknown_from if conversation.tags in ("unproven", "spam") else ""
    return cards.find_members(session, me(), request.args.get("member", "") or claimed or "")


def _canned(session: Session, member: Member | None) -> list[tuple[str, str]]:
    """Replies to begin with, in the member's language, with their name filled in."""
    name = member.first_name if member else ""
    return [
        (reply.title, canned.filled(reply, name))
        for reply in canned.listed(session, member.language if member else "en")
    ]


def newest(thread: Thread) -> UUID | None:
    """The newest message that the page shows: who replies says so, and is told when somebody was quicker."""
    messages = [entry for entry in thread.entries if entry.kind in ("in", "out")]
    return messages[-1].id if messages else None


def mark(thread: Thread, writing: list[str]) -> str:
    """Changes whenever anything in the conversation does, or who is writing in it."""
    flags = [(f.id, f.pages, f.acknowledged_at, f.cleared_at, f.tier) for f in thread.flags]
    return _mark([thread.conversation.state, *writing, *flags, *map(_entry_facts, thread.entries)])


def _entry_facts(entry: Entry) -> tuple[object, ...]:
    return (entry.kind, entry.id, entry.state, entry.channel, *(file.state for file in entry.attachments))


def _mark(facts: Any) -> str:
    return hashlib.sha256(repr([str(fact) for fact in facts]).encode()).hexdigest()[:16]
