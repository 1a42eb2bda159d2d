"""Prompts, "you too?": approved feelings and coordinators' own words. Each is asked once: the next of the line by a
rhythm, any of them at once by a coordinator's campaign.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, story_checks
from service.actions.giving import gifts
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.campaigns import Campaign, CampaignKind, CampaignState
from service.models.checkins import Rhythm
from service.models.content import Prompt
from service.models.giving import Gift, GiftState, Giving
from service.models.staff import Coordinator

LONGEST = 300
"""Characters."""
SHOWN = 100


class Standing(StrEnum):
    """Where a prompt is."""

    WAITS = "waits"
    RESTS = "rests"  # its author is under a flag, or not here any more
    SENT = "sent"
    RETIRED = "retired"


@dataclass(frozen=True)
class Row:
    """A prompt as its list shows it."""

    prompt: Prompt
    standing: Standing
    sent: Campaign | None
    draft: UUID | None = None
    """A draft of a campaign that would ask it."""

    @property
    def of_member(self) -> bool:
        """Whether a member shared it."""
        return self.prompt.gift_id is not None


def usable() -> ColumnElement[bool]:
    """SQL over `Prompt`: not retired, and a feeling's author is here and under no flag."""
    feeling = exists().where(Gift.id == Prompt.gift_id, gifts.usable())
    return and_(Prompt.retired_at.is_(None), or_(Prompt.gift_id.is_(None), feeling))


def _sent() -> ColumnElement[bool]:
    """SQL: whether a campaign has asked it. A draft has not, nor one that was called off before it began."""
    return exists().where(Campaign.prompt_id == Prompt.id, _asking())


def _asking() -> ColumnElement[bool]:
    on_its_way = Campaign.state.not_in([CampaignState.DRAFT, CampaignState.CANCELLED])
    return and_(Campaign.kind == CampaignKind.PROMPT, or_(on_its_way, Campaign.started_at.is_not(None)))


def choose(session: Session, rhythm: Rhythm, campaign: Campaign) -> bool:
    """Give the campaign the next prompt that was never asked; False where none waits.

    Members of a language that it has no words in are not asked.
    """
    for found in ready(session):
        hold(session, found.id)
        if not not_now(session, found, besides=campaign.id):  # else a coordinator was quicker
            campaign.prompt_id = found.id
            campaign.audience = {"languages": list(found.languages)} if len(found.languages) == 1 else {}
            return True
    return False


def ready(session: Session) -> list[Prompt]:
    """Those that may be asked now, the next first."""
    waiting = select(Prompt).where(usable(), ~_sent()).order_by(Prompt.position, Prompt.id)
    return list(session.scalars(waiting.limit(SHOWN)))


def hold(session: Session, prompt_id: UUID) -> None:
    """Hold a prompt for this transaction: two campaigns that would ask it at one moment come one after the other."""
    session.execute(select(Prompt.id).where(Prompt.id == prompt_id).with_for_update())


def not_now(session: Session, prompt: Prompt, *, besides: UUID) -> str:
    """Why a campaign (`besides`) may not ask this prompt, with what to do; empty where it may."""
    if prompt.retired_at is not None:
        return "This was retired, so nobody is asked it. Choose another one."
    other = select(Campaign.id).where(Campaign.prompt_id == prompt.id, Campaign.id != besides, _asking())
    if session.scalar(other.limit(1)) is not None:
        return "This has been asked already, and each is asked once. Choose another one."
    if session.scalar(select(Prompt.id).where(Prompt.id == prompt.id, usable())) is None:
        return "It rests: its author is under a safety flag, or not here any more. Choose another one."
    return ""


def draft_of(session: Session, prompt_id: UUID) -> UUID | None:
    """The newest draft of a campaign that would ask it."""
    drafts = select(Campaign.id).where(Campaign.prompt_id == prompt_id, Campaign.state == CampaignState.DRAFT)
    return session.scalar(drafts.order_by(Campaign.id.desc()).limit(1))


def adopt(session: Session) -> int:
    """Make prompts of the feelings that were approved since; returns how many. One that speaks of suicide or assault
    is kept back: it takes no ME TOO (rule of conversation 12).
    """
    known = exists().where(Prompt.gift_id == Gift.id)
    fresh = select(Gift).where(Gift.kind == Giving.FEELING, Gift.state == GiftState.APPROVED, ~known)
    return sum(1 for gift in session.scalars(fresh.order_by(Gift.decided_at)) if from_gift(session, gift))


def from_gift(session: Session, gift: Gift) -> Prompt | None:
    """The prompt of an approved feeling, last in the line; None if it takes no ME TOO, or is one already."""
    if session.scalar(select(Prompt.id).where(Prompt.gift_id == gift.id)) is not None:
        return None
    now = clock.now()
    hard = story_checks.forbids_me_too(gift.body)
    made = Prompt(
        id=db.uuid7(), gift_id=gift.id, position=_last(session) + 1, retired_at=now if hard else None, created_at=now,
        words_en=gift.body if gift.language != "es" else None, words_es=gift.body if gift.language == "es" else None,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return None if hard else made


def take_in(session: Session, gift: Gift) -> None:
    """What an approved feeling becomes: a prompt, last in the line."""
    from_gift(session, gift)


def _last(session: Session) -> int:
    return session.scalar(select(func.max(Prompt.position))) or 0


def get(session: Session, prompt_id: UUID) -> Prompt:
    """The prompt. Raises NotFound."""
    found = session.get(Prompt, prompt_id)
    if found is None:
        raise NotFound("There is no such prompt. Whoever wrote it may have taken it back.")
    return found


def save(prompt_id: UUID | None, coordinator: Coordinator, words_en: str, words_es: str) -> UUID:
    """Keep a prompt of one's own, or what a member's is in the other language; returns its id.

    A member's own words stay as they are. Raises Invalid beside its field, Forbidden, NotFound, Conflict.
    """
    words = {"en": " ".join(words_en.split()), "es": " ".join(words_es.split())}
    with db.transaction() as session:
        _require_whole(coordinator)
        prompt = _unsent(session, prompt_id) if prompt_id else None
        own = own_language(session, prompt) if prompt else ""
        if prompt is None:
            prompt = Prompt(
                id=db.uuid7(), position=_last(session) + 1, created_by=coordinator.id, created_at=clock.now()
            )
        _require_good({language: said for language, said in words.items() if language != own}, own)
        for language, said in words.items():
            if language != own:
                setattr(prompt, f"words_{language}", said or None)
        session.add(prompt)
        session.flush()
        audit.record(session, str(coordinator.id), "prompt.change" if prompt_id else "prompt.add", prompt)
        return prompt.id


def own_language(session: Session, prompt: Prompt) -> str:
    """The language in which a member wrote it, whose words stay; empty for a coordinator's."""
    gift = session.get(Gift, prompt.gift_id) if prompt.gift_id else None
    return ("es" if gift.language == "es" else "en") if gift else ""


def _require_good(words: dict[str, str], own: str) -> None:
    if not own and not any(words.values()):
        raise Invalid("Write it in English, in Spanish, or in both.", field="words_en")
    for language, said in words.items():
        field = f"words_{language}"
        if len(said) > LONGEST:
            raise Invalid(f"Please make it a little shorter: {LONGEST} letters at most.", field=field)
        if story_checks.forbids_me_too(said):
            raise Invalid("This speaks of suicide or assault. Nobody is asked for a ME TOO to that.", field=field)
        if gifts.names_somebody(said):
            raise Invalid("Leave out numbers, addresses and the like.", field=field)


def move(prompt_id: UUID, coordinator: Coordinator, *, up: bool) -> None:
    """Let it change places with the one before it, or behind it, among those that wait."""
    with db.transaction() as session:
        _require_whole(coordinator)
        prompt = _unsent(session, prompt_id)
        line = list(session.scalars(_waiting()))
        here = next((n for n, other in enumerate(line) if other.id == prompt.id), None)
        there = None if here is None else here - 1 if up else here + 1
        if there is None or not 0 <= there < len(line):
            return
        line[here or 0], line[there] = line[there], line[here or 0]
        for position, each in enumerate(line, 1):
            each.position = position
        audit.record(session, str(coordinator.id), "prompt.move", prompt)


def retire(prompt_id: UUID, coordinator: Coordinator) -> None:
    """Ask it no more; what is on its way is stopped, too."""
    with db.transaction() as session:
        _require_whole(coordinator)
        prompt = get(session, prompt_id)
        prompt.retired_at = prompt.retired_at or clock.now()
        audit.record(session, str(coordinator.id), "prompt.retire", prompt)


def _unsent(session: Session, prompt_id: UUID) -> Prompt:
    prompt = get(session, prompt_id)
    if prompt.retired_at is not None or session.scalar(select(_sent()).where(Prompt.id == prompt.id)):
        raise Conflict("It has been asked already, or was retired: it stays as it is.")
    return prompt


def _require_whole(coordinator: Coordinator) -> None:
    if not access.sees_everything(coordinator):
        raise Forbidden("Prompts go to everybody: ask a coordinator who sees all circles.")


def _waiting() -> Select[Prompt]:
    return select(Prompt).where(Prompt.retired_at.is_(None), ~_sent()).order_by(Prompt.position, Prompt.id)


def listed(session: Session) -> tuple[list[Row], list[Row]]:
    """(those that wait, in their order; those that were asked or retired, newest first)."""
    free = set(session.scalars(select(Prompt.id).where(usable(), ~_sent())))
    line = [
        Row(prompt, Standing.WAITS if prompt.id in free else Standing.RESTS, None, draft_of(session, prompt.id))
        for prompt in session.scalars(_waiting().limit(SHOWN))
    ]
    past = session.scalars(
        select(Prompt).where(or_(Prompt.retired_at.is_not(None), _sent())).order_by(Prompt.id.desc()).limit(SHOWN)
    ).all()
    sent = _campaigns(session, [prompt.id for prompt in past])
    gone = [Row(p, Standing.SENT if p.id in sent else Standing.RETIRED, sent.get(p.id)) for p in past]
    gone.sort(key=lambda row: _moment(row), reverse=True)
    return line, gone


def _moment(row: Row) -> datetime:
    return (row.sent.scheduled_at if row.sent else None) or row.prompt.retired_at or row.prompt.created_at


def _campaigns(session: Session, ids: Sequence[UUID]) -> dict[UUID, Campaign]:
    found = session.scalars(select(Campaign).where(Campaign.prompt_id.in_(ids), _asking()))
    return {campaign.prompt_id: campaign for campaign in found if campaign.prompt_id}
