"""What is sent: hope stories, prompts and tools, and what members felt about them."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Date, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Encrypted, State, UTCTime, uuid7


class StoryState(StrEnum):
    """A story's way from a member's words to others' phones. Nothing is published automatically."""

    DRAFT = "draft"
    REVIEW = "review"
    AWAITING_AUTHOR = "awaiting_author"
    SECOND_REVIEW = "second_review"
    PUBLISHED = "published"
    RESTING = "resting"  # its author is under a flag, or has died
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"


class Attribution(StrEnum):
    """How the author is named."""

    FIRST_NAME = "first_name"
    INITIAL = "initial"
    ANONYMOUS = "anonymous"


class Lived(StrEnum):
    """How long ago the attempt or the loss was that a story tells of (a year at least: facts on safety)."""

    UNASKED = "unasked"
    NONE = "none"  # it tells of neither
    YEAR = "year"  # a year ago or more
    RECENT = "recent"


class Felt:
    """What has been told of how many felt the same. It never goes down, so that no difference tells on anybody
    (docs/decisions/0016-counting-me-too.md).
    """

    felt_shown: Mapped[int] = mapped_column(Integer, default=0)
    """The largest number that any reader was told; 0, or at least the privacy floor."""
    felt_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When somebody last said ME TOO."""
    felt_told: Mapped[int] = mapped_column(Integer, default=0)
    """The last step that its author was told of."""


class Story(Felt, Base):
    """A hope story: "I used to feel like that, and here's what helped me"."""

    __tablename__ = "stories"
    __table_args__ = (Index("ix_stories_state_id", "state", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(String(120))
    about: Mapped[str] = mapped_column(String(80), default="")
    topics: Mapped[str] = mapped_column(String(200), default="")
    language: Mapped[str] = mapped_column(String(10), default="en")
    attribution: Mapped[Attribution] = mapped_column(State(Attribution), default=Attribution.ANONYMOUS)
    author_name: Mapped[str] = mapped_column(String(80), default="")
    original: Mapped[str | None] = mapped_column(Encrypted("story.original"))
    body_email: Mapped[str] = mapped_column(Encrypted("story.body_email"))
    body_sms: Mapped[str] = mapped_column(Encrypted("story.body_sms"))
    state: Mapped[StoryState] = mapped_column(State(StoryState), default=StoryState.DRAFT)
    mentions_self_harm: Mapped[bool] = mapped_column(Boolean, default=False)
    mentions_loss: Mapped[bool] = mapped_column(Boolean, default=False)
    me_too_allowed: Mapped[bool] = mapped_column(Boolean, default=True)
    consent_sms: Mapped[bool] = mapped_column(Boolean, default=True)
    consent_email: Mapped[bool] = mapped_column(Boolean, default=True)
    consent_page: Mapped[bool] = mapped_column(Boolean, default=False)
    consent_until: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(UTCTime)
    updated_at: Mapped[datetime] = mapped_column(UTCTime)
    published_at: Mapped[datetime | None] = mapped_column(UTCTime)
    published_by: Mapped[UUID | None] = mapped_column()
    withdrawn_at: Mapped[datetime | None] = mapped_column(UTCTime)
    consent_found: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether search engines may know its page: a consent of its own."""
    lived: Mapped[Lived] = mapped_column(State(Lived), default=Lived.UNASKED)
    early_why: Mapped[str | None] = mapped_column(Encrypted("story.early_why"))
    """Why a lead lets it be read within a year of an attempt or a loss."""
    asked_code: Mapped[str | None] = mapped_column(String(3))
    """The three digits of PUBLISH; they belong to the exact words in `asked_mark`, and to no others."""
    asked_mark: Mapped[str | None] = mapped_column(String(64))
    asked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    thanked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When its author heard that it is published: once."""


class StoryRead(Base):
    """That a story was sent to a member: it never goes to the same person twice, whatever the campaign."""

    __tablename__ = "stories_read"
    __table_args__ = (Index("ix_stories_read_at", "at"), Index("ix_stories_read_member", "member_id", "at"))

    story_id: Mapped[UUID] = mapped_column(ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCTime)
    message_id: Mapped[UUID | None] = mapped_column()
    """The message that carried it to whoever asked with READ."""
    helped: Mapped[bool | None] = mapped_column(Boolean)
    answered_at: Mapped[datetime | None] = mapped_column(UTCTime)


class TopicLeftOut(Base):
    """A topic of which a member wants no stories."""

    __tablename__ = "topics_left_out"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), primary_key=True)
    topic: Mapped[str] = mapped_column(String(40), primary_key=True)


class Prompt(Felt, Base):
    """Something that others felt, with the question "you too?": a member's feeling, approved, or a coordinator's words.

    It is sent once. Whether it may be is asked each time (`actions.resonance.prompts.usable`): it rests while its
    author is under a flag.
    """

    __tablename__ = "prompts"
    __table_args__ = (Index("ix_prompts_position", "position", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    gift_id: Mapped[UUID | None] = mapped_column(ForeignKey("gifts.id", ondelete="CASCADE"), unique=True)
    """The shared feeling that it is; None for a coordinator's own words."""
    words_en: Mapped[str | None] = mapped_column(Encrypted("prompt.words_en"))
    words_es: Mapped[str | None] = mapped_column(Encrypted("prompt.words_es"))
    """The same in Spanish, put so by a person. Where one is missing, members of that language are not asked."""
    position: Mapped[int] = mapped_column(Integer, default=0)
    """Smaller comes first."""
    retired_at: Mapped[datetime | None] = mapped_column(UTCTime)
    result_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When those who answered heard how many they were."""
    created_by: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UTCTime)

    def words(self, language: str) -> str | None:
        """Its words in a language, if it has any."""
        return self.words_es if language == "es" else self.words_en

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it can be asked in."""
        return tuple(language for language in ("en", "es") if self.words(language))


class Resonance(Base):
    """A ME TOO: one member's answer to one story or prompt."""

    __tablename__ = "resonances"
    __table_args__ = (
        UniqueConstraint("story_id", "member_id"),
        UniqueConstraint("prompt_id", "member_id"),
        CheckConstraint("(story_id IS NULL) <> (prompt_id IS NULL)", name="one_thing"),
        Index("ix_resonances_member", "member_id", "at"),
        Index("ix_resonances_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    story_id: Mapped[UUID | None] = mapped_column(ForeignKey("stories.id", ondelete="CASCADE"))
    prompt_id: Mapped[UUID | None] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    message_id: Mapped[UUID | None] = mapped_column()
    at: Mapped[datetime] = mapped_column(UTCTime)
    told: Mapped[int | None] = mapped_column(Integer)
    """The number that this member was told, 0 for none. Whoever asks again hears the same."""
    taken_back_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """OOPS: from then on it counts for nothing."""


class Tool(Base):
    """A short card that can be used anywhere: a breathing exercise, a way to say no. Expired cards are not sent."""

    __tablename__ = "tools"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str] = mapped_column(String(120))
    topics: Mapped[str] = mapped_column(String(200), default="")
    language: Mapped[str] = mapped_column(String(10), default="en")
    body_sms: Mapped[str] = mapped_column(Text)
    body_email: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(String(80), default="")
    source: Mapped[str] = mapped_column(String(200), default="")
    review_by: Mapped[date] = mapped_column(Date)
    retired_at: Mapped[datetime | None] = mapped_column(UTCTime)
    created_at: Mapped[datetime] = mapped_column(UTCTime)
