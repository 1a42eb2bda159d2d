"""What a circle's week tells of its members' small steps, and of how somebody said it.

The words are put in when the message is written, not before: who took theirs back, or is under a flag by then, is left
out, and no campaign keeps a member's words.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from service.actions.giving import gifts
from service.channels.segments import cheapest, measure
from service.models.giving import Gift, Giving
from service.models.members import ChannelName, Member

FIELD = "growth"
"""The merge field that stands for it in the digest."""
HEADS: dict[Giving, dict[str, str]] = {
    Giving.STEP: {"en": "Small steps this week", "es": "Pasos de esta semana"},
    Giving.SAID: {"en": "How somebody said it", "es": "Alguien lo dijo de este modo"},
}
LANGUAGES = ("en", "es")
SEGMENTS = 2
"""Of the whole text, counted without accents: they are kept, and nobody's words are left out for them."""
MOST_BY_TEXT, MOST_BY_MAIL = 3, 10
"""Of each kind. What a text has no room for stands in the mail only."""
OLDEST = timedelta(days=28)
"""A step of last season is no news; it is not told any more."""


def take(session: Session, circle_id: UUID, campaign_id: UUID, now: datetime) -> int:
    """Make everything that is ready a part of this campaign, so that it is told once; how much that was."""
    taken = 0
    for giving in HEADS:
        for language in LANGUAGES:
            ids = list(session.scalars(_ready(circle_id, giving, language, now).limit(MOST_BY_MAIL)))
            told = update(Gift).where(Gift.id.in_(ids)).values(carried_in=campaign_id)
            session.execute(told.execution_options(synchronize_session=False))
            taken += len(ids)
    return taken


def anything(session: Session, circle_id: UUID, now: datetime) -> bool:
    """Whether there is something to tell."""
    return any(
        session.scalar(_ready(circle_id, giving, language, now).limit(1)) is not None
        for giving in HEADS
        for language in LANGUAGES
    )


def of_circle(session: Session, circle_id: UUID, limit: int = 20) -> list[Gift]:
    """What a circle's members gave for its week and may be read, the newest first."""
    found = select(Gift).where(Gift.circle_id == circle_id, gifts.usable(), Gift.kind.in_(list(HEADS)))
    return list(session.scalars(found.order_by(Gift.decided_at.desc(), Gift.id).limit(limit)))


def _ready(circle_id: UUID, giving: Giving, language: str, now: datetime) -> Select[UUID]:
    return (
        select(Gift.id)
        .where(
            Gift.circle_id == circle_id,
            gifts.usable(),
            Gift.kind == giving,
            Gift.language == language,
            Gift.carried_in.is_(None),
            Gift.decided_at > now - OLDEST,
        )
        .order_by(Gift.decided_at, Gift.id)
    )


def words(
    session: Session, circle_id: UUID, campaign_id: UUID, rest: Mapping[str, str]
) -> dict[tuple[ChannelName, str], str]:
    """What the campaign tells, by channel and language. `rest`: by language, the text around it as it will leave."""
    found = session.execute(
        select(Gift, Member.first_name)
        .join(Member, Member.id == Gift.member_id)
        .where(Gift.circle_id == circle_id, gifts.usable(), Gift.carried_in == campaign_id)
        .order_by(Gift.decided_at, Gift.id)
    ).all()
    told: dict[tuple[ChannelName, str], str] = {}
    for language in LANGUAGES:
        by_kind = {
            giving: [_said(gift, name) for gift, name in found if gift.kind == giving and gift.language == language]
            for giving in HEADS
        }
        told[ChannelName.EMAIL, language] = _as_mail(by_kind, language)
        told[ChannelName.SMS, language] = _as_text(by_kind, language, rest.get(language, ""))
    return told


def _said(gift: Gift, first_name: str) -> str:
    words_ = f'"{" ".join(gift.body.split())}"'
    return f"{words_} ({first_name})" if gift.named and first_name else words_


def _as_mail(by_kind: Mapping[Giving, list[str]], language: str) -> str:
    parts = [
        f"**{HEADS[giving][language]}**\n\n" + "\n".join(f"- {said}" for said in kept[:MOST_BY_MAIL])
        for giving, kept in by_kind.items()
        if kept
    ]
    return "\n\n".join(parts)


def _as_text(by_kind: Mapping[Giving, list[str]], language: str, rest: str) -> str:
    """As many as there is room for, the oldest first; one that is too long leaves its place to the next."""
    kept: dict[Giving, list[str]] = {giving: [] for giving in by_kind}
    for giving, said in _in_turn(by_kind):
        if len(kept[giving]) == MOST_BY_TEXT:
            continue
        tried = kept | {giving: [*kept[giving], said]}
        if measure(cheapest(f"{rest} {_lines(tried, language)}")).segments <= SEGMENTS:
            kept = tried
    return _lines(kept, language)


def _in_turn(by_kind: Mapping[Giving, list[str]]) -> Iterable[tuple[Giving, str]]:
    """One of each kind after the other, so that no kind takes all the room."""
    longest = max((len(said) for said in by_kind.values()), default=0)
    return [(giving, said[at]) for at in range(longest) for giving, said in by_kind.items() if at < len(said)]


def _lines(kept: Mapping[Giving, list[str]], language: str) -> str:
    return " ".join(f"{HEADS[giving][language]}: {' '.join(said)}" for giving, said in kept.items() if said)
