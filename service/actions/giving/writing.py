"""What a member is writing by text or mail: begun with a word, joined piece by piece, handed on with PASS.

Risk has been judged and a stop has been honoured before any of this is read. Words with risk in them go to a person at
once, and are kept as a piece all the same (`keep_quietly`): what somebody lived through is a part of their story, and
nothing that they wrote is lost. Nothing goes on before "Shall I pass this on? Reply PASS" (rule of conversation 10).
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations import undo
from service.actions.conversations.gathering import WRITING_OPEN
from service.actions.conversations.saying import Incoming, answer
from service.actions.giving import gifts
from service.actions.giving.gifts import Passed
from service.actions.giving.kinds import KINDS, begun_by
from service.actions.tools.topics import folded
from service.models.conversations import Message
from service.models.giving import Giving, Writing
from service.models.members import ChannelName, Member, MemberState

PASS_WITHIN = timedelta(days=14)
ASK_EVERY = timedelta(minutes=2)
"""Eight texts in a row get one answer, not eight."""
PASS = frozenset(["pass", "pass it on", "pass on", "pass it", "please pass", "pasalo", "pasar", "pasa", "pasala"])
_NAMED = ("name", "with name", "with my name", "named", "nombre", "con nombre", "con mi nombre")
PASS_NAMED = frozenset(f"{yes} {named}" for yes in PASS for named in _NAMED)
"""The same, with the author's first name, where others may read one."""
DROP = frozenset(["drop", "drop it", "discard", "borrar", "borralo", "borrala", "descartar"])


def hear(session: Session, incoming: Incoming) -> str | None:
    """A word that begins something, PASS, DROP, or one more piece of what is being written; what it did, or None."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    said = folded(incoming.arrived.words)
    open_ = session.get(Writing, member.id) if incoming.known.writing else None
    giving = begun_by(said)
    if giving is not None:
        return _begin(session, incoming, member, giving, open_)
    if said in PASS or said in PASS_NAMED:
        return _pass(session, incoming, member, open_, named=said in PASS_NAMED)
    if said in DROP and open_ is not None:
        return _drop(session, incoming, member, open_)
    if (titled := _titled(incoming)) is not None:
        return _mail(session, incoming, member, titled, open_)
    if open_ is not None and _is_piece(incoming, open_):
        return _piece(session, incoming, member, open_)
    return None


def keep_quietly(session: Session, incoming: Incoming) -> None:
    """Keep a piece of what is being written where something else answers: a flag, or a person who is here."""
    open_ = session.get(Writing, incoming.member.id) if incoming.member and incoming.known.writing else None
    if open_ is not None and _is_piece(incoming, open_) and _fits(open_, incoming.arrived.words):
        _add(open_, incoming.arrived.words)


def _begin(session: Session, incoming: Incoming, member: Member, giving: Giving, open_: Writing | None) -> str:
    """Begin, unless something else is half-written: that is named first, and nothing of it is lost."""
    done = f"keyword {giving.upper()}"
    if open_ is not None and open_.pieces and still_open(open_):
        open_.asked_at = clock.now()
        answer(session, incoming, "writing_open", facts_of(open_, member))
        return done
    opening = KINDS[giving].begins(session, member)
    if opening.refused:
        answer(session, incoming, opening.refused, opening.facts)
        return done
    start(session, member, incoming.arrived.channel, giving)
    answer(session, incoming, f"{giving}_write", opening.facts)
    return done


def still_open(open_: Writing) -> bool:
    """Whether PASS would still hand it on."""
    return open_.last_at > clock.now() - PASS_WITHIN


def start(session: Session, member: Member, channel: ChannelName, giving: Giving) -> Writing:
    """From now on what the member writes is a piece of this; whatever was open before is forgotten."""
    forget(session, member)
    now = clock.now()
    made = Writing(
        member_id=member.id, kind=giving, words="", pieces=0, channel=channel, started_at=now, last_at=now
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def forget(session: Session, member: Member) -> None:
    """Forget what the member was writing."""
    if (open_ := session.get(Writing, member.id)) is not None:
        session.delete(open_)
        session.flush()


def _pass(session: Session, incoming: Incoming, member: Member, open_: Writing | None, *, named: bool) -> str | None:
    """PASS: the words go before a person. Where nothing is written, "pass" may well be the answer to an invite."""
    if open_ is None or not still_open(open_):
        return None
    room = KINDS[open_.kind].room(session, member)
    if room.refused:
        answer(session, incoming, room.refused, room.facts | {"kept": open_.pieces > 0})
        return "keyword PASS, no room yet"
    if not open_.pieces:
        answer(session, incoming, f"{open_.kind}_write", KINDS[open_.kind].begins(session, member).facts)
        return "keyword PASS"
    passed = Passed(open_.kind, member, incoming.arrived.channel, open_.words, named=named, by_message=True)
    told = hand_on(session, passed, incoming.message)
    forget(session, member)
    answer(session, incoming, f"{passed.giving}_passed", told | {"count": len(passed.words.split())})
    return f"keyword PASS {passed.giving}"


def hand_on(session: Session, passed: Passed, message: Message) -> dict[str, Any]:
    """Hand words on to whatever becomes of their kind, so that OOPS takes them back; returns what its answer needs.

    A first name goes with them only where the kind allows one; `unnamed` says that it was asked for and stays out.
    """
    named = passed.named and may_be_named(passed.giving, passed.member)
    told = KINDS[passed.giving].hand_over(session, replace(passed, named=named))
    told["unnamed"] = passed.named and not named
    facts = {"kind": str(passed.giving), "words": len(passed.words.split())}
    undo.remember(session, passed.member, message, "passed_on", facts | passed.remember)
    return told


def may_be_named(giving: Giving, member: Member) -> bool:
    """Whether the member's first name may go with this: their kind allows it, and we know it."""
    return KINDS[giving].may_name and bool(member.first_name)


def _drop(session: Session, incoming: Incoming, member: Member, open_: Writing) -> str:
    name = KINDS[open_.kind].name(member.language)
    forget(session, member)
    answer(session, incoming, "writing_dropped", {"kind": name})
    return "keyword DROP"


def _titled(incoming: Incoming) -> Giving | None:
    """What a mail begins whose subject is the word, and whose body is already what it is about."""
    arrived = incoming.arrived
    return begun_by(folded(arrived.subject)) if arrived.subject and not arrived.bare else None


def _mail(session: Session, incoming: Incoming, member: Member, giving: Giving, open_: Writing | None) -> str:
    if open_ is not None and open_.pieces and open_.kind == giving:
        return _piece(session, incoming, member, open_)
    if open_ is not None and open_.pieces:
        return _begin(session, incoming, member, giving, open_)
    opening = KINDS[giving].begins(session, member)
    if opening.refused:
        answer(session, incoming, opening.refused, opening.facts)
        return f"{giving} not begun"
    return _piece(session, incoming, member, start(session, member, incoming.arrived.channel, giving))


def _piece(session: Session, incoming: Incoming, member: Member, open_: Writing) -> str:
    words = incoming.arrived.words
    kind = KINDS[open_.kind]
    if not _fits(open_, words):
        answer(session, incoming, "writing_long", {"kind": kind.name(member.language), "most": kind.longest})
        return "piece too long"
    _add(open_, words)
    facts = facts_of(open_, member)
    lately = open_.asked_at is not None and open_.asked_at > clock.now() - ASK_EVERY
    if not lately or (facts["names"] and gifts.names_somebody(words)):
        open_.asked_at = clock.now()
        answer(session, incoming, "writing_so_far", facts)
    return "piece"


def facts_of(open_: Writing, member: Member) -> dict[str, object]:
    """What our texts say of it: its kind, its words so far, and whether a number or an address will be left out."""
    kind = KINDS[open_.kind]
    names = open_.kind != Giving.STORY and gifts.names_somebody(open_.words)
    return {"kind": kind.name(member.language), "count": len(open_.words.split()), "names": names}


def _fits(open_: Writing, words: str) -> bool:
    return len(open_.words) + len(words) + 1 <= KINDS[open_.kind].longest


def keep_draft(session: Session, member: Member, channel: ChannelName, giving: Giving, words: str) -> None:
    """Keep words from a page as what is being written, unless something else is: PASS hands them on later."""
    open_ = session.get(Writing, member.id)
    if open_ is not None and open_.pieces and (open_.kind != giving or open_.words not in words):
        return
    if len(words) <= KINDS[giving].longest:
        _add(start(session, member, channel, giving), words)


def _add(open_: Writing, words: str) -> None:
    """Join a piece. A phone cuts long texts anywhere, so pieces that follow each other at once are one paragraph."""
    now = clock.now()
    if not open_.pieces:
        open_.words = words.strip()
    else:
        between = " " if now - open_.last_at < ASK_EVERY else "\n\n"
        open_.words = f"{open_.words}{between}{words.strip()}"
    open_.pieces += 1
    open_.last_at = now


def _is_piece(incoming: Incoming, open_: Writing) -> bool:
    """Whether it reads like a part of what is being written, and not like a command or an answer to something newer."""
    read, arrived = incoming.read, incoming.arrived
    if open_.last_at < clock.now() - WRITING_OPEN or incoming.message.automatic or arrived.held is not None:
        return False
    if not arrived.words.strip() or (arrived.bare and (read.keyword or read.odd_number or read.me_too)):
        return False
    newer = incoming.asked and incoming.asked[0].at > open_.last_at
    return not (arrived.bare and (newer or arrived.words.strip(" .!").isdigit()))
