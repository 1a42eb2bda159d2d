"""Hope stories: written, checked, approved by their author, read by a second person where it must be, published by
somebody, and withdrawn at any time. Nothing here is ever published by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, audit, story_checks
from service.actions.campaigns.checking import STORY_SEGMENTS
from service.actions.hope import telling, topics
from service.actions.hope.ending import APPROVED, AUTHOR, end
from service.channels.segments import measure
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.models.content import Attribution, Lived, Story, StoryRead, StoryState
from service.models.members import Member, MemberState
from service.models.staff import AuditEntry, Coordinator, Role

WRITABLE = (StoryState.DRAFT, StoryState.REVIEW, StoryState.AWAITING_AUTHOR, StoryState.SECOND_REVIEW)
"""Where words can still be changed. A published story is taken back first: its author approved those exact words."""
HOW = {"person": "in person", "phone": "by phone", "email": "by email", "text": "by text"}
THEMSELVES = {"text": "by text, with the digits", "email": "by mail, with the digits", "page": "on their page"}
_READ = "story.first_yes"
LEADS = (Role.ADMIN, Role.SAFEGUARDING)


@dataclass(frozen=True)
class StoryDetails:
    """A story as typed."""

    title: str
    body_email: str
    body_sms: str
    about: str = ""
    topics: tuple[str, ...] = ()
    language: str = "en"
    attribution: Attribution = Attribution.ANONYMOUS
    author_name: str = ""
    author_id: UUID | None = None
    mentions_self_harm: bool = False
    mentions_loss: bool = False
    me_too_allowed: bool = True
    consent_sms: bool = False
    consent_email: bool = False
    consent_page: bool = False
    consent_found: bool = False
    consent_until: date | None = None
    lived: Lived = Lived.UNASKED


@dataclass(frozen=True)
class Approval:
    """How and when the author said yes to the exact words that stand there now, and who noted it."""

    how: str
    on: str
    noted_at: datetime
    noted_by: str
    themselves: bool = False


def require(session: Session, coordinator: Coordinator, story_id: UUID) -> Story:
    """The story, if this coordinator may read it: a circle coordinator reads what is published. Raises NotFound."""
    story = session.get(Story, story_id)
    if story is None or not (access.sees_everything(coordinator) or story.state == StoryState.PUBLISHED):
        raise NotFound("There is no such story.")
    return story


def save(story_id: UUID | None, coordinator: Coordinator, details: StoryDetails) -> UUID:
    """Keep a story; returns its id. Other words than before need the author's and the second person's yes again.

    Self-harm in the words is found whether or not it was ticked, and with it, or assault, ME TOO is off.
    Raises Invalid beside its field, Conflict once it is published.
    """
    _only_whole(coordinator)
    if not details.title.strip():
        raise Invalid("Give it a title; members see it above the mail.", field="title")
    with db.transaction() as session:
        now = clock.now()
        story = require(session, coordinator, story_id) if story_id else Story(id=db.uuid7(), created_at=now)
        if story_id and story.state not in WRITABLE:
            raise Conflict("These words are published or at rest. Take the story back to change them.")
        if details.author_id and session.get(Member, details.author_id) is None:
            raise Invalid("Choose the author from the list.", field="author")
        if not story_id:
            story.state = StoryState.DRAFT
            session.add(story)
        before = text_mark(story) if story_id else None
        _apply(story, details)
        story.updated_at = now
        if before and before != text_mark(story) and story.state != StoryState.DRAFT:
            story.state = StoryState.REVIEW
            story.asked_code = story.asked_mark = None  # those digits said yes to other words
        session.flush()
        audit.record(session, str(coordinator.id), "story.change" if story_id else "story.add", story)
        return story.id


def _apply(story: Story, details: StoryDetails) -> None:
    for name, value in vars(details).items():
        setattr(story, name, value.strip() if isinstance(value, str) else value)
    story.topics = ",".join(topics.cleaned(details.topics))[:200]
    story.attribution, story.lived = Attribution(details.attribution), Lived(details.lived)
    if story.lived != Lived.RECENT:
        story.early_why = None
    words = (story.title, story.body_email, story.body_sms)
    story.mentions_self_harm = details.mentions_self_harm or story_checks.mentions_self_harm(*words)
    story.me_too_allowed = details.me_too_allowed and not (
        story.mentions_self_harm or story_checks.forbids_me_too(*words)
    )


def text_mark(story: Story) -> str:
    """A keyed hash of the exact words and of how the author is named: what somebody said yes to."""
    parts = (story.title, story.about, story.body_email, story.body_sms, str(story.attribution), story.author_name)
    return db.blind_index("story", "\x00".join(part or "" for part in parts)).hex()


def note_approval(story_id: UUID, coordinator: Coordinator, how: str, on: date | None) -> None:
    """Note that the author said yes to exactly these words. Raises Invalid beside its field, Conflict, NotFound."""
    _only_whole(coordinator)
    if how not in HOW:
        raise Invalid("Say how they told you.", field="how")
    if on is None or on > clock.now().date():
        raise Invalid("Choose the day on which they said yes.", field="on")
    with db.transaction() as session:
        story = require(session, coordinator, story_id)
        if story.author_id is None:
            raise Conflict("Name the author first.")
        mark = text_mark(story)
        audit.record(session, str(coordinator.id), APPROVED, story, how=how, on=on.isoformat(), text=mark)


def approval(session: Session, story: Story) -> Approval | None:
    """The author's yes to the words as they are now, if there is one."""
    entry = _entry(session, story, APPROVED)
    if entry is None:
        return None
    how = entry.detail["how"]
    if entry.actor == AUTHOR:
        return Approval(THEMSELVES.get(how, ""), entry.detail["on"], entry.at, "", themselves=True)
    by = session.get(Coordinator, UUID(entry.actor))
    return Approval(HOW.get(how, ""), entry.detail["on"], entry.at, by.name if by else "")


def _entry(session: Session, story: Story, action: str) -> AuditEntry | None:
    """The newest entry of this kind about the words as they are now."""
    entry = session.scalar(
        select(AuditEntry)
        .where(
            AuditEntry.subject_type == "Story", AuditEntry.subject_id == str(story.id), AuditEntry.action == action
        )
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )  # fmt: skip
    return entry if entry is not None and entry.detail.get("text") == text_mark(story) else None


def first_reader(session: Session, story: Story) -> Coordinator | None:
    """Who gave the first of two yeses to these words."""
    entry = _entry(session, story, _READ)
    return session.get(Coordinator, UUID(entry.actor)) if entry else None


def unwritten(story: Story) -> list[str]:
    """What the words still need before anybody is asked about them, each with what to do."""
    found = []
    if not story.body_email.strip() or not story.body_sms.strip():
        found.append("Write it for mail and for text: members get it on one or the other.")
    size = measure(story.body_sms)
    if size.segments > STORY_SEGMENTS:
        found.append(f"The text takes {size.segments} segments; a story by text has at most {STORY_SEGMENTS}.")
    if story_checks.has_link(story.body_sms):
        found.append("The text has a link in it. A story by text is complete without one.")
    return found


def obstacles(session: Session, story: Story) -> list[str]:
    """What keeps a story from being published, each with what to do about it; empty when nothing does."""
    found = [*unwritten(story), *_too_early(story)]
    if not (story.consent_sms or story.consent_email or story.consent_page):
        found.append("The author has agreed to no channel yet.")
    if story.consent_until and story.consent_until < clock.now().date():
        found.append("The author's consent has ended. Ask them again.")
    author = session.get(Member, story.author_id) if story.author_id else None
    if author is not None:
        if author.held_at is not None:
            found.append("It rests while its author is under a safety flag.")
        if author.state in (MemberState.DIED, MemberState.ERASED):
            found.append("Its author is no longer here, so it rests.")
        if approval(session, story) is None:
            found.append("The author has not approved these exact words yet. Ask them, or note how and when they did.")
    return found


def _too_early(story: Story) -> list[str]:
    """At least a year after an attempt or a loss (facts on safety), unless a lead has said why."""
    if not (story.mentions_self_harm or story.mentions_loss):
        return []
    if story.lived == Lived.UNASKED:
        return ["Ask its author how long ago it was, and note it below: a year at least after an attempt or a loss."]
    if story.lived == Lived.RECENT and not story.early_why:
        return ["It is less than a year since. Let it rest, or have a lead say why it may be read now."]
    return []


def note_early(story_id: UUID, coordinator: Coordinator, why: str) -> None:
    """A lead says why a story may be read within a year of an attempt or a loss. Raises Forbidden, Invalid."""
    if coordinator.role not in LEADS:
        raise Forbidden("Only a safeguarding lead or an admin may say so.")
    if not why.strip():
        raise Invalid("Say why, in a sentence.", field="why")
    with db.transaction() as session:
        story = require(session, coordinator, story_id)
        story.early_why = why.strip()
        audit.record(session, str(coordinator.id), "story.early", story)


def publish(story_id: UUID, coordinator: Coordinator, *, looked: bool) -> StoryState:
    """One person's yes: publishes, or, where self-harm is spoken of, waits for a second one. Returns the new state.

    `looked` says that every mark of the automatic checks was looked at. Raises Invalid, Conflict, NotFound.
    """
    _only_whole(coordinator)
    with db.transaction() as session:
        story = require(session, coordinator, story_id)
        if story.state not in WRITABLE:
            raise Conflict("This story is published already, or at rest.")
        if problems := obstacles(session, story):
            raise Conflict(" ".join(problems))
        if not looked and (story_checks.findings(story.body_email) or story_checks.findings(story.body_sms)):
            raise Invalid("Look at each marked place first, then tick this.", field="looked")
        actor = str(coordinator.id)
        if story.mentions_self_harm:
            first = first_reader(session, story)
            if first is None:
                story.state = StoryState.SECOND_REVIEW
                audit.record(session, actor, _READ, story, text=text_mark(story))
                return story.state
            if first.id == coordinator.id:
                raise Conflict("It speaks of self-harm, so a second person has to read it. You were the first.")
        story.state, story.published_at, story.published_by = StoryState.PUBLISHED, clock.now(), coordinator.id
        if story.author_id is not None:  # nobody is sent their own
            own = {"story_id": story.id, "member_id": story.author_id, "at": clock.now()}
            session.execute(db.insert(StoryRead).values(**own).on_conflict_do_nothing())
        telling.thank(session, story)
        audit.record(session, actor, "story.publish", story)
        return story.state


def withdraw(story_id: UUID, coordinator: Coordinator) -> None:
    """At any time: the page comes down and nothing more leaves. What was sent cannot be called back."""
    _leave(story_id, coordinator, StoryState.WITHDRAWN, "story.withdraw")


def take_back(story_id: UUID, coordinator: Coordinator) -> None:
    """Back to review, so that its words can be changed; until it is published anew nothing of it leaves."""
    _leave(story_id, coordinator, StoryState.REVIEW, "story.take_back")


def decline(story_id: UUID, coordinator: Coordinator, words: str = "", own: str = "") -> bool:
    """It will not be published; whether its author was told: with one of `telling.KIND_WORDS`, or in `own` words.

    Raises Conflict once it is published, Invalid beside `words` or `own`.
    """
    _only_whole(coordinator)
    if words == "own" and not own.strip():
        raise Invalid("Write a few words to its author.", field="own")
    with db.transaction() as session:
        story = require(session, coordinator, story_id)
        if story.state not in WRITABLE:
            raise Conflict("It is published or at rest. Withdraw it instead.")
        told = False
        if words == "own":
            told = telling.own_no(session, story, coordinator, own.strip())
        elif words:
            told = telling.kind_no(session, story, words)
        end(session, story, StoryState.DECLINED)
        audit.record(session, str(coordinator.id), "story.decline", story, told=told)
        return told


def _leave(story_id: UUID, coordinator: Coordinator, state: StoryState, action: str) -> None:
    _only_whole(coordinator)
    with db.transaction() as session:
        story = require(session, coordinator, story_id)
        end(session, story, state)
        audit.record(session, str(coordinator.id), action, story)


def _only_whole(coordinator: Coordinator) -> None:
    if not access.sees_everything(coordinator):
        raise Forbidden("Stories are looked after by coordinators of the whole community.")


def listed(
    session: Session, coordinator: Coordinator, *, states: Sequence[StoryState], language: str = "",
    after: UUID | None = None, limit: int = 50,
) -> list[Story]:  # fmt: skip
    """A page of stories in these states, newest first."""
    statement = select(Story).where(Story.state.in_(states)).order_by(Story.id.desc()).limit(limit)
    if not access.sees_everything(coordinator):
        statement = statement.where(Story.state == StoryState.PUBLISHED)
    if language:
        statement = statement.where(Story.language == language)
    if after is not None:
        statement = statement.where(Story.id < after)
    return list(session.scalars(statement))


def felt_words(session: Session, story_ids: Sequence[UUID]) -> dict[UUID, str]:
    """How many said ME TOO to each, never below the privacy floor nor to the last one: "fewer than 5", "10 or more"."""
    rows = session.execute(select(Story.id, Story.felt_shown).where(Story.id.in_(story_ids)))
    shown: dict[UUID, int] = dict(list(rows))
    return {i: f"{shown[i]} or more" if shown.get(i) else "too few to say" for i in story_ids}
