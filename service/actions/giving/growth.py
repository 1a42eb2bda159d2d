"""Growth notes, small steps and how somebody said it: into which circle's week they go, and what their author hears.

Whoever is in one circle is not asked. Whoever is in several may name one by a letter; without an answer it goes to none
of them: nobody's circle reads what they did not mean for it. No circle is ever named to those who may be overlooked.
"""

from datetime import timedelta
from string import ascii_uppercase
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions import consent, outbox
from service.actions.belonging import places, words
from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer
from service.actions.giving import gifts
from service.actions.giving.gifts import Passed
from service.actions.tools.topics import folded
from service.channels.segments import cheapest
from service.models.campaigns import Purpose
from service.models.gatherings import Circle
from service.models.giving import Gift
from service.models.members import ChannelName, Member, MemberState

MOST_CHOICES = 5
NAME_LENGTH = 20
ANSWER_WITHIN = timedelta(hours=48)
NONE_WORDS = frozenset(["none", "none of them", "no circle", "ninguno", "ninguna", "ninguno de ellos"])
_NONE = {"en": "none", "es": "ninguno"}


def hand_over(session: Session, passed: Passed) -> dict[str, Any]:
    """Put it before a person; returns whether it is named, and the circles to choose from as `A Kitchen, B none`."""
    gift = gifts.keep(session, passed)
    passed.remember["gift"] = str(gift.id)
    mine = [place.circle for place in places.of_member(session, passed.member.id).places]
    told = {"named": passed.named, "circles": len(mine), "choices": ""}
    if gift.circle_id is None and len(mine) > 1 and passed.by_message and not passed.member.discreet:
        offered = mine[:MOST_CHOICES]
        gift.circle_choices = [str(circle.id) for circle in offered]
        told["choices"] = _by_letters(offered, passed)
    return told


def _by_letters(offered: list[Circle], passed: Passed) -> str:
    names = [circle.name[:NAME_LENGTH].strip() for circle in offered]
    if passed.channel == ChannelName.SMS:
        names = [cheapest(name) for name in names]
    names.append(_NONE.get(passed.member.language, _NONE["en"]))
    return ", ".join(f"{letter} {name}" for letter, name in zip(ascii_uppercase, names, strict=False))


def hear(session: Session, incoming: Incoming) -> str | None:
    """A letter, or "none", in answer to the question whose week it may be in; what it did, or None."""
    member, said = incoming.member, folded(incoming.arrived.words)
    letter = said.upper() if len(said) == 1 and said.isalpha() else ""
    if member is None or member.state != MemberState.ACTIVE or not incoming.arrived.bare:
        return None
    if not (letter or said in NONE_WORDS):
        return None
    gift = session.scalar(
        select(Gift)
        .where(
            Gift.member_id == member.id,
            Gift.state.in_(gifts.OPEN),
            Gift.circle_choices.is_not(None),
            Gift.passed_at > clock.now() - ANSWER_WITHIN,
        )
        .order_by(Gift.passed_at.desc())
        .limit(1)
    )
    choices = gift.circle_choices if gift is not None else None
    if gift is None or choices is None:
        return None
    number = ascii_uppercase.index(letter) if letter else len(choices)
    if number > len(choices):
        return None
    circle = session.get(Circle, UUID(choices[number])) if number < len(choices) else None
    undo.remember(session, member, incoming.message, "gift_circle", {"gift": str(gift.id), "choices": choices})
    gift.circle_id, gift.circle_choices = (circle.id if circle else None), None
    answer(session, incoming, "gift_circle", {"circle": words.name_for(circle, member) if circle else ""})
    return "keyword circle of a gift"


def tell_author(session: Session, gift: Gift) -> None:
    """Say once to its author that it is in. Nothing to whoever has stopped, or is under a flag."""
    author = session.get(Member, gift.member_id)
    if author is None or author.state != MemberState.ACTIVE or author.held_at is not None:
        return
    for channel in sorted(ChannelName, key=lambda c: c != gift.channel):
        address = author.address(channel)
        if address is not None and not consent.suppressed(session, channel, address.value):
            outbox.say(session, author, "gift_in", channel, Purpose.ANSWER)
            return
