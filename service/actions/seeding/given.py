"""The demo's gifts: what members passed on, what a coordinator made of it, and what still waits at the desk."""

from datetime import timedelta

from service import clock, db
from service.actions.giving import told_stories
from service.actions.giving.gifts import Passed
from service.actions.seeding.ground import Ground, Row
from service.models.giving import Gift, GiftState, Giving
from service.models.members import ChannelName, Member

READ_AFTER = timedelta(hours=9)
"""From a gift's arrival to its decision."""


def gifts(ground: Ground) -> None:
    """Everything of the file, each by its author's preferred way."""
    for row in ground.rows.gifts:
        author = ground.members[row["member"]]
        ground.heard(author, row["passed_at"])
        if row["kind"] == Giving.STORY:
            _story(ground, row, author)
        else:
            ground.session.add(_gift(ground, row, author))
    ground.session.flush()


def _channel(author: Member) -> ChannelName:
    return ChannelName.SMS if author.address(ChannelName.SMS) is not None else ChannelName.EMAIL


def _gift(ground: Ground, row: Row, author: Member) -> Gift:
    circles = ground.row_of(row["member"])["circles"]
    approved = row["state"] == GiftState.APPROVED
    reader = next(c.id for c in ground.staff.values() if c.role == "safeguarding")
    return Gift(
        id=db.uuid7(),
        kind=Giving(row["kind"]),
        member_id=author.id,
        circle_id=ground.circles[circles[0]].id if len(circles) == 1 else None,
        language=author.language,
        channel=_channel(author),
        original=row["original"],
        body=row.get("body", row["original"]),
        state=GiftState(row["state"]),
        passed_at=row["passed_at"],
        decided_at=row["passed_at"] + READ_AFTER if approved else None,
        decided_by=reader if approved else None,
    )


def _story(ground: Ground, row: Row, author: Member) -> None:
    passed = Passed(Giving.STORY, author, _channel(author), row["original"].strip())
    with clock.frozen_at(row["passed_at"]):
        told_stories.hand_over(ground.session, passed)
