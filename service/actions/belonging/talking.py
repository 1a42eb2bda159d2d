"""JOIN and LEAVE with the word of a circle, by text and by mail, from somebody whom we know. Strangers join by
`joining_by_text`: there is a question to be asked first.
"""

import re

from sqlalchemy.orm import Session

from service.actions.belonging import places, telling, words
from service.actions.belonging.places import Came
from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer
from service.models.gatherings import Circle
from service.models.members import ChannelName, Member, MemberState

_LEAVE = re.compile(
    r"(?:please |por favor )?(?:leave|salir|dejar|salgo|dejo)(?: de| del| the| el| la)?(?: circle| c[ií]rculo)?"
    r" ([a-z0-9]{3,20})"
    r"(?: please| por favor)?",
    re.IGNORECASE,
)

_WEEK = re.compile(
    r"(?:please |por favor )?(?:week|my week|semana|la semana|mi semana) (on|off|yes|no|si|sí)(?: ([a-z0-9]{3,20}))?"
    r"(?: please| por favor)?",
    re.IGNORECASE,
)


def leaving(session: Session, incoming: Incoming) -> Circle | None:
    """The circle that these words ask to leave: LEAVE and its word, and nothing else."""
    said = _LEAVE.fullmatch(" ".join(incoming.arrived.words.split()).strip(" .!"))
    known = places.by_word(session, said[1]) if said else None
    return known[0] if known else None


def hear(session: Session, incoming: Incoming) -> str | None:
    """Leave a circle, or come into one; what was done, or None where this is neither."""
    member = incoming.member
    if member is None or member.state not in (MemberState.ACTIVE, MemberState.PENDING):
        return None
    circle = leaving(session, incoming)
    if circle is not None:
        return _leave(session, incoming, member, circle)
    wanted = _WEEK.fullmatch(" ".join(incoming.arrived.words.split()).strip(" .!"))
    if wanted is not None and member.state == MemberState.ACTIVE:
        return _week(session, incoming, member, on=wanted[1].lower() not in ("off", "no"), word=wanted[2])
    if incoming.arrived.channel == ChannelName.EMAIL and incoming.arrived.proven:
        return _join_by_mail(session, incoming, member)
    return None


def _leave(session: Session, incoming: Incoming, member: Member, circle: Circle) -> str:
    if places.leave(session, member, circle.id):
        undo.remember(session, member, incoming.message, "circle_left", {"circle": str(circle.id)})
    answer(session, incoming, "circle_left", telling.about(session, member, circle, incoming.arrived.channel))
    return "keyword LEAVE"


def _week(session: Session, incoming: Incoming, member: Member, *, on: bool, word: str | None) -> str:
    """Get the week of the circle that is named, or of all that they are in, or not any more."""
    known = places.by_word(session, word) if word else None
    mine = [
        place
        for place in places.of_member(session, member.id).places
        if word is None or (known is not None and place.circle_id == known[0].id)
    ]
    if not mine:
        answer(session, incoming, "circle_week_none")
        return "keyword WEEK"
    before = {str(place.circle_id): place.digest for place in mine}
    for place in mine:
        place.digest = on
    undo.remember(session, member, incoming.message, "circle_week", {"before": before})
    named = words.name_for(mine[0].circle, member) if len(mine) == 1 else ""
    answer(session, incoming, "circle_week_on" if on else "circle_week_off", {"circle": named})
    return "keyword WEEK"


def _join_by_mail(session: Session, incoming: Incoming, member: Member) -> str | None:
    words = incoming.arrived.words.split()
    joins = incoming.read.keyword == "JOIN"
    named = words and len(words) <= 2 and (joins or len(words) == 1)
    known = places.by_word(session, words[-1], near=joins) if named else None
    if known is None and not joins:
        return None
    if known is None:
        kept = places.offered(session, member.id)
        if kept is None:
            return None
        known = (kept.circle, False)
    came(session, incoming, member, known[0], places.enter(session, member, known[0], invited=known[1]))
    return "keyword JOIN"


def joined(session: Session, incoming: Incoming, words: str) -> bool:
    """Answer a member whose JOIN has just been dealt with: what came of the circle. False where none was meant."""
    member, parts = incoming.member, words.split()
    if member is None:
        return False
    known = places.by_word(session, parts[-1], near=True) if len(parts) == 2 else None
    if known is None:  # JOIN alone may have taken the place that was kept for them
        said = list(telling.news(session, member, incoming.arrived.channel))
        for template, context in said:
            answer(session, incoming, template, context)
        return bool(said)
    outcome = places.enter(session, member, known[0], invited=known[1])  # a second time: changes nothing
    place = places.place_of(session, member.id, known[0].id)
    if outcome == Came.ALREADY and place is not None and place.welcomed_at is None:
        outcome = Came.IN
    came(session, incoming, member, known[0], outcome)
    return True


def shut(session: Session, incoming: Incoming, words: str) -> None:
    """Tell a stranger that the circle has closed, or that people come into it by an invitation."""
    known = places.by_word(session, words.split()[-1], near=True)
    if known is not None:
        template = "circle_by_invitation" if known[0].closed_at is None else "circle_closed"
        answer(session, incoming, template, {"circle": known[0].name})


def came(session: Session, incoming: Incoming, member: Member, circle: Circle, outcome: Came) -> None:
    """Answer somebody who wanted into a circle with what came of it, also if they ask a second time."""
    channel = incoming.arrived.channel
    if outcome == Came.IN:
        undo.remember(session, member, incoming.message, "circle_joined", {"circle": str(circle.id)})
    said = list(telling.news(session, member, channel))
    if not said:
        said = [(REPLIES[outcome], telling.about(session, member, circle, channel))]
    for template, context in said:
        answer(session, incoming, template, context)


REPLIES: dict[Came, str] = {
    Came.IN: "circle_welcome",
    Came.ALREADY: "circle_welcome",
    Came.WAITS: "circle_waiting",
    Came.ASKED: "circle_asked",
    Came.INVITED_ONLY: "circle_by_invitation",
    Came.CLOSED: "circle_closed",
}
