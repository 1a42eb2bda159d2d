"""What words of stopping mean where they are said: STOP NOTES ends notes only, WITHDRAW takes a story back, and in an
open vent "leave me alone" is about somebody else.

A stop always wins where it is one: a stop word alone in a line or a sentence at either end, and everything that speaks
of messages, numbers or lists. What is left in doubt is no stop, and goes before a person (`vents.talking`).
"""

import re
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.actions import understanding
from service.actions.conversations.gathering import Known
from service.actions.conversations.incoming import Arrived
from service.actions.giving import note_words, writing
from service.actions.hope.talking import WITHDRAW
from service.actions.tools.topics import folded
from service.actions.understanding import Intent, Understanding
from service.actions.vents import keeping
from service.actions.vents.talking import SAID_IN_A_VENT
from service.models.content import Story

_OURS = re.compile(
    r"\b(text(s|ed|ing)?|messag\w*|msgs?|e-?mail\w*|mail(s|ing)?|send(ing)?|contact\w*|(un)?subscri\w*|number|list|"
    r"notif\w*|my data|records|mensaj\w*|textos?|correos?|escrib\w*|mand(ar|en|es|eis|ando)|envi\w*|n[uú]mero|lista|"
    r"mis datos|suscri\w*)\b",
    re.IGNORECASE,
)


def narrowed(session: Session, known: Known, arrived: Arrived, read: Understanding) -> Understanding:
    """The same reading without a stop that was none."""
    if read.intent != Intent.OPT_OUT and not read.weak_opt_out:
        return read
    if len(known.members) != 1 or arrived.held is not None or arrived.provider_answered == "STOP":
        return read
    if _is_ours(session, known, folded(arrived.words)):
        return without_stop(read)
    if not known.vents or keeping.open_one(session, known.members[0].id) is None or _is_meant(arrived.words):
        return read
    return replace(without_stop(read), reasons=[*read.reasons, SAID_IN_A_VENT])


def _is_ours(session: Session, known: Known, said: str) -> bool:
    """Whether a whole message is a word of ours that ends less than everything: NO NOTES, DROP while something is being
    written, WITHDRAW from somebody who has told a story. From anybody else the last two may well be a stop.
    """
    if said in note_words.NO_NOTES:
        return True
    if said in writing.DROP:
        return known.writing
    if said not in WITHDRAW:
        return False
    told = select(Story.id).where(Story.author_id == known.members[0].id).limit(1)
    return session.scalar(told) is not None


def without_stop(read: Understanding) -> Understanding:
    """The same reading with nothing of a stop in it."""
    return replace(read, intent=Intent.NONE, scope=None, topic=None, weak_opt_out=False)


def _is_meant(words: str) -> bool:
    """Whether it is a stop whatever it stands in."""
    if _OURS.search(words):
        return True
    lines = [line for line in words.splitlines() if line.strip()]
    sentences = [part for part in re.split(r"[.!?\n]+", words) if part.strip()]
    ends = [*lines, *sentences[:1], *sentences[-1:]]
    return any(understanding.understand(part).keyword == "STOP" for part in ends if len(part) <= 20)
