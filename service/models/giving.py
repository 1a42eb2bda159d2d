"""What members give: stories, notes, steps, shared feelings, while they are written and until others may read them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Encrypted, State, UTCTime, uuid7
from service.models.members import ChannelName


class Giving(StrEnum):
    """What somebody can write for others. A story becomes a `Story`, everything else a `Gift`."""

    STORY = "story"
    NOTE = "note"  # encouragement, for one person whom a coordinator chooses
    STEP = "step"  # a small step that somebody took
    SAID = "said"  # how somebody said it: the sentence that set a boundary, or disagreed
    FEELING = "feeling"  # shared so that others can answer ME TOO


class GiftState(StrEnum):
    """review ⇄ asked → approved | declined; taken_back by its author at any time."""

    REVIEW = "review"
    ASKED = "asked"  # the author was asked something, and has not answered
    APPROVED = "approved"
    DECLINED = "declined"
    TAKEN_BACK = "taken_back"


class Writing(Base):
    """What a member is writing by text or mail, piece by piece, until PASS hands it on. One at a time."""

    __tablename__ = "writings"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[Giving] = mapped_column(State(Giving))
    words: Mapped[str] = mapped_column(Encrypted("writing.words"), default="")
    pieces: Mapped[int] = mapped_column(Integer, default=0)
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    started_at: Mapped[datetime] = mapped_column(UTCTime)
    last_at: Mapped[datetime] = mapped_column(UTCTime)
    """When the member last wrote a piece, or began."""
    asked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When we last said that PASS hands it on: eight texts in a row get one answer."""


class Gift(Base):
    """Something that a member passed on, and what a person here made of it. Nobody else reads it before that.

    Whether it may be carried is asked each time (`actions.giving.gifts.usable`): it rests while its author is under a
    flag, and for good when they have died.
    """

    __tablename__ = "gifts"
    __table_args__ = (
        Index("ix_gifts_state", "state", "passed_at", "id"),
        Index("ix_gifts_member", "member_id", "passed_at"),
        Index(
            "ix_gifts_circle",
            "circle_id",
            "decided_at",
            sqlite_where=text("state = 'approved'"),
            postgresql_where=text("state = 'approved'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[Giving] = mapped_column(State(Giving))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    """Its author."""
    circle_id: Mapped[UUID | None] = mapped_column(ForeignKey("circles.id", ondelete="SET NULL"))
    """The circle whose week it may be part of, or whose members are asked; None: everybody's."""
    language: Mapped[str] = mapped_column(String(10), default="en")
    channel: Mapped[ChannelName] = mapped_column(State(ChannelName))
    original: Mapped[str] = mapped_column(Encrypted("gift.original"))
    body: Mapped[str] = mapped_column(Encrypted("gift.body"))
    """Edited for safety and privacy, never for voice."""
    named: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the author chose to be named by their first name."""
    mentions_self_harm: Mapped[bool] = mapped_column(Boolean, default=False)
    """Then two people read it before anybody else does, and it stands first at the desk."""
    circle_choices: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    """Circles (ids) that we named to the author by letters A, B, …; None where we did not ask, or they answered."""
    state: Mapped[GiftState] = mapped_column(State(GiftState), default=GiftState.REVIEW)
    question: Mapped[str | None] = mapped_column(Encrypted("gift.question"))
    """What a coordinator asked the author about it."""
    asked_at: Mapped[datetime | None] = mapped_column(UTCTime)
    """When that was asked; what they write after it may be the answer."""
    first_reader: Mapped[UUID | None] = mapped_column()
    """Who gave the first of two yeses, where self-harm is spoken of."""
    passed_at: Mapped[datetime] = mapped_column(UTCTime)
    decided_at: Mapped[datetime | None] = mapped_column(UTCTime)
    decided_by: Mapped[UUID | None] = mapped_column()
    carried_in: Mapped[UUID | None] = mapped_column()
    """The campaign that told it as a part of its circle's week: each is told there once."""
