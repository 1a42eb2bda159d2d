"""What members write about hope stories: PUBLISH and three digits, READ, WITHDRAW.

Risk has been judged and a stop has been honoured before any of this is read. Each is the whole message, or the word and
something that we know (rule of conversation 10); whatever else an author answers goes to a person.
"""

from sqlalchemy.orm import Session

from service.actions import stories
from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer, did, to_person
from service.actions.hope import asking, reading, taking_back
from service.actions.tools.topics import folded
from service.actions.understanding import Confirm, screen
from service.models.campaigns import Asks
from service.models.content import Attribution, Story
from service.models.members import Member, MemberState

PUBLISH = frozenset(["publish", "publicar", "publica"])
NAMED = frozenset(
    ["name", "my name", "with name", "with my name", "nombre", "mi nombre", "con nombre", "con mi nombre"]
)  # fmt: skip
READ = frozenset(
    ["read", "read one", "read a story", "read story", "read another", "read another one", "read on", "read more",
     "leer", "leer una", "leer una historia", "leer historia", "leer otra", "leer mas"]
)  # fmt: skip
WITHDRAW = ("withdraw", "retirar", "retira", "retiro")
OF_THEIRS = frozenset(
    ["", "it", "story", "my story", "my stories", "historia", "mi historia", "mis historias", "la historia"]
)  # fmt: skip
MOST_WORDS = 6


def hear(session: Session, incoming: Incoming) -> str | None:
    """Take the message as something about stories; what it did, or None where it is about something else."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    words = folded(incoming.arrived.words).split()
    if not words or len(words) > MOST_WORDS:
        return None
    if words[0] in PUBLISH:
        return _publish(session, incoming, member, words[1:])
    if " ".join(words) in READ:
        return reading.one(session, incoming, member)
    if incoming.known.author and incoming.arrived.bare and all(a.asks == Asks.ME_TOO for a in incoming.asked):
        return _yes(session, incoming, member)
    return None


def _publish(session: Session, incoming: Incoming, member: Member, rest: list[str]) -> str | None:
    """PUBLISH and the digits of the newest words: the author's yes to exactly those."""
    digits = rest[0] if rest and rest[0].isdigit() else ""
    more = " ".join(rest[1:] if digits else rest)
    if (more and more not in NAMED) or (not digits and rest):
        return None
    open_ = asking.waiting(session, member.id)
    story = next((s for s in open_ if s.asked_code == digits), None)
    if story is None or stories.text_mark(story) != story.asked_mark:
        answer(session, incoming, "story_code_other", {"open": bool(open_)})
        return "keyword PUBLISH, other digits"
    if not incoming.arrived.proven:
        to_person(incoming)
        return "PUBLISH from an address that is not proven"
    named = bool(more)
    agreed = asking.Agreed(attribution=Attribution.FIRST_NAME if named else Attribution.ANONYMOUS)
    asking.approve(session, story, member, asking.BY[incoming.arrived.channel], agreed)
    undo.remember(session, member, incoming.message, "story_yes", {"story": str(story.id)})
    answer(session, incoming, "story_approved", {"named": named})
    return "keyword PUBLISH"


def _yes(session: Session, incoming: Incoming, member: Member) -> str | None:
    """YES never publishes (rule of conversation 8): the digits are asked for, kindly."""
    open_ = asking.waiting(session, member.id)
    if not open_ or screen(incoming.arrived.words, language=incoming.read.language).confirm != Confirm.YES:
        return None
    answer(session, incoming, "story_yes_needs_code", {"code": open_[0].asked_code})
    return "YES to a story: digits asked for"


def withdraws(session: Session, incoming: Incoming) -> bool:
    """Whether the author takes a story back by these words; like a stop it counts whoever is in the conversation."""
    member = incoming.member
    words = folded(incoming.arrived.words).split()
    if member is None or not words or words[0] not in WITHDRAW:
        return False
    if not incoming.arrived.trusted or incoming.arrived.held is not None:
        return False
    rest = " ".join(words[1:])
    if rest not in OF_THEIRS and len(rest) != 1:
        return False
    found = taking_back.of(session, member.id)
    chosen = _chosen(found, rest)
    if chosen is not None:
        before = taking_back.take_back(session, chosen)
        undo.remember(session, member, incoming.message, "story_back", before)
        answer(session, incoming, "story_withdrawn")
        did(incoming, "keyword WITHDRAW")
    elif found:
        answer(session, incoming, "story_which", {"choices": taking_back.choices(found, member)})
        did(incoming, "keyword WITHDRAW, which")
    else:
        answer(session, incoming, "story_none_of_yours")
        did(incoming, "keyword WITHDRAW, none")
    return True


def _chosen(found: list[Story], rest: str) -> Story | None:
    """The one that is meant: the only one, or by its letter."""
    if len(rest) == 1:
        at = ord(rest) - ord("a")
        return found[at] if 0 <= at < len(found) else None
    return found[0] if len(found) == 1 else None
