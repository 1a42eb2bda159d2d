"""What can be written for others, in one place: the words that begin it, how long it may be, and where it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from service.actions.giving import gifts, growth, told_stories, wishes
from service.actions.giving.gifts import Passed
from service.actions.giving.wishes import Opening
from service.actions.resonance import prompts
from service.models.giving import Gift, Giving
from service.models.members import Member


def _always(session: Session, member: Member) -> Opening:
    return Opening()


@dataclass(frozen=True)
class Kind:
    """One thing that a member can write for others. Texts are `<kind>_write` and `<kind>_passed` in templates/sms."""

    words: frozenset[str]
    """Folded messages that begin it (rule of conversation 10: the whole message)."""
    longest: int
    """Characters."""
    hand_over: Callable[[Session, Passed], dict[str, Any]]
    """What PASS does with the words; keeps how to undo it, and returns what `<kind>_passed` needs."""
    names: tuple[str, str]
    """What it is called in our texts, English and Spanish."""
    approved: Callable[[Session, Gift], None] | None = None
    """How it goes on once a person has said yes to it; in the transaction of that yes."""
    may_name: bool = False
    """Whether its author's first name may go with it, by PASS NAME or by a tick on the page. A note and a feeling never
    carry one, and how a story's author is named is chosen with the exact words.
    """
    room: Callable[[Session, Member], Opening] = _always
    """Whether there is room for one more of this member now; a note has limits that protect its giver."""
    begins: Callable[[Session, Member], Opening] = _always
    """The same where they begin one, and what `<kind>_write` needs: CHEER is a yes to giving."""

    def name(self, language: str) -> str:
        """What it is called, for a member of that language."""
        return self.names[1] if language == "es" else self.names[0]


KINDS: dict[Giving, Kind] = {
    Giving.STORY: Kind(
        frozenset(["story", "my story", "tell my story", "historia", "mi historia", "contar mi historia"]),
        6000, told_stories.hand_over, ("story", "historia"),
    ),
    Giving.NOTE: Kind(
        frozenset(["cheer", "cheer somebody", "cheer someone", "encourage", "animo", "animar", "dar animo"]),
        300, gifts.hand_over, ("note", "nota"), room=wishes.room, begins=wishes.may_give,
    ),
    Giving.STEP: Kind(
        frozenset(["step", "a step", "small step", "my step", "un paso", "mi paso", "pasito", "un pasito"]),
        300, growth.hand_over, ("step", "paso"), may_name=True, approved=growth.tell_author,
    ),
    Giving.SAID: Kind(
        frozenset(["said", "i said", "i said it", "how i said it", "dije", "lo dije", "como lo dije", "asi lo dije"]),
        300, growth.hand_over, ("sentence", "frase"), may_name=True, approved=growth.tell_author,
    ),
    Giving.FEELING: Kind(
        frozenset(["share", "share a feeling", "compartir", "compartir algo"]),
        300, gifts.hand_over, ("feeling", "sentimiento"), prompts.take_in,
    ),
}  # fmt: skip


def begun_by(said: str) -> Giving | None:
    """What these folded words begin, if they are the whole message."""
    return next((giving for giving, kind in KINDS.items() if said in kind.words), None)
