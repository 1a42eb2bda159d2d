"""A circle coordinator sees nothing of other circles, by whatever way they ask; everybody else sees everything."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import access, circles, flag_reports, meetings
from service.actions.conversations import card, folders, replying, threads
from service.actions.conversations.folders import Folder
from service.errors import DomainError, Forbidden, NotFound
from service.models.campaigns import CampaignKind
from service.models.conversations import Conversation, Flag
from service.models.gatherings import Circle, CircleMembership, GroupSession
from service.models.members import Member
from service.models.staff import Coordinator, Role
from tests.flows.world import add_circle, add_member, send
from tests.web import desk
from tests.web.desk import ANA, BEN

ROLES = [Role.ADMIN, Role.SAFEGUARDING, Role.COORDINATOR]
STRANGER = "+12025550199"


class Two:
    """Two circles with a member each who wrote, a stranger who wrote, and somebody who looks after the first circle."""

    def __init__(self) -> None:
        self.mine, self.other = add_circle("Mine", "MINE"), add_circle("Other", "OTHER")
        self.ana = add_member("Ana", ANA, "ana@example.org", circle=self.mine)
        self.ben = add_member("Ben", BEN, circle=self.other)
        self.dorothy = self.person("dorothy", Role.CIRCLE_COORDINATOR)
        desk.give_circle(self.dorothy, self.mine)
        desk.text(ANA, "I want to kill myself tonight")
        desk.text(BEN, "I want to kill myself tonight")
        desk.text(STRANGER, "hello, who is this")
        self.for_mine = send(CampaignKind.INVITE, "Come?", circle_id=self.mine.id)
        self.for_other = send(CampaignKind.INVITE, "Come?", circle_id=self.other.id)
        self.for_all = send(CampaignKind.TOOL, "Breathe.")

    def person(self, name: str, role: Role) -> Coordinator:
        with db.transaction() as session:
            made = Coordinator(id=db.uuid7(), email=f"{name}@example.org", name=name, role=role, created_at=clock.now())
            session.add(made)
        return made

    def conversation(self, member: Member) -> Conversation:
        return desk.conversation_of(member)

    def flag(self, member: Member) -> Flag:
        with db.reading() as session:
            return session.scalars(select(Flag).where(Flag.member_id == member.id)).one()

    def meeting(self, circle: Circle) -> GroupSession:
        with db.reading() as session:
            return session.scalars(select(GroupSession).where(GroupSession.circle_id == circle.id)).one()


@pytest.fixture
def two(database: db.Database) -> Two:
    return Two()


def refused(act: Callable[[Session], Any]) -> type[DomainError]:
    with db.reading() as session, pytest.raises(DomainError) as error:
        act(session)
    return error.type


def test_lists_hold_their_own_circle_only(two: Two) -> None:
    with db.reading() as session:
        who = two.dorothy
        seen = {line.name for folder in Folder for line in folders.folder(session, who, folder)}
        assert seen == {"Ana"}
        assert folders.counts(session, who)[Folder.NEEDS_REPLY] == 1
        assert folders.counts(session, who)[Folder.HELD] == 0
        assert [line.who for line in flag_reports.lines(session, who, cleared=False)] == ["Ana"]
        assert flag_reports.times(session, who).flags == 1
        assert [line.circle.name for line in circles.listed(session, who)] == ["Mine"]
        assert [line.session.circle.name for line in meetings.listed(session, who)] == ["Mine"]
        assert meetings.listed(session, who, circle_id=two.other.id) == []
        for words in ("Ben", "b", BEN):
            assert card.find_members(session, who, words) == []
            assert folders.search(session, who, words) == []
        assert [m.first_name for m in card.find_members(session, who, "Ana")] == ["Ana"]


def test_nothing_of_another_circle_opens_and_what_is_hidden_is_not_even_confirmed(two: Two) -> None:
    who = two.dorothy
    ben, stranger = two.conversation(two.ben).id, desk.held().id
    for act in (
        lambda s: access.require_conversation(s, who, ben),
        lambda s: access.require_conversation(s, who, stranger),
        lambda s: access.require_flag(s, who, two.flag(two.ben).id),
        lambda s: access.require_circle(s, who, two.other.id),
        lambda s: access.require_session(s, who, two.meeting(two.other).id),
        lambda s: access.require_campaign(s, who, two.for_other),
        lambda s: access.require_campaign(s, who, two.for_all),
        lambda s: threads.read(s, who, ben),
    ):
        assert refused(act) is NotFound
    assert refused(lambda s: access.require_own_circle(s, who, two.other.id)) is Forbidden
    assert refused(lambda s: access.require_own_circle(s, who, None)) is Forbidden
    for act_ in (replying.mark_read, replying.note_reading, replying.resolve, replying.reopen):
        with pytest.raises(NotFound):
            act_(ben, who)
    with pytest.raises(NotFound):
        replying.reply(ben, who, "Hello")
    with pytest.raises(NotFound):
        replying.add_note(ben, who, "Hello")
    with pytest.raises(NotFound):
        replying.assign(ben, who, who.id)
    with pytest.raises(NotFound):
        replying.belongs_to(stranger, who, two.ana.id)
    with pytest.raises(NotFound):
        meetings.cancel(two.meeting(two.other).id, who)
    with pytest.raises(NotFound):
        circles.hold(two.other.id, who, on=True)


def test_their_own_opens_with_masked_addresses(two: Two) -> None:
    who = two.dorothy
    with db.reading() as session:
        assert access.require_conversation(session, who, two.conversation(two.ana).id)
        assert access.require_flag(session, who, two.flag(two.ana).id)
        assert access.require_circle(session, who, two.mine.id)
        assert access.require_session(session, who, two.meeting(two.mine).id)
        assert access.require_campaign(session, who, two.for_mine)
        ana = session.get_one(Member, two.ana.id)
        shown = {s.shown for s in card.card(session, who, ana).standings}
        assert shown == {"+1 ••• ••• 0123", "a•••@example.org"}
        ways = card.ways(session, who, access.require_conversation(session, who, two.conversation(two.ana).id))
        assert {way.shown for way in ways} == shown


def test_whoever_leaves_the_circle_is_out_of_sight(two: Two) -> None:
    with db.transaction() as session:
        place = session.scalars(select(CircleMembership).where(CircleMembership.member_id == two.ana.id)).one()
        place.left_at = clock.now()
    assert refused(lambda s: access.require_conversation(s, two.dorothy, two.conversation(two.ana).id)) is NotFound


def test_without_a_circle_there_is_nothing_to_see(two: Two) -> None:
    nobody = two.person("nobody", Role.CIRCLE_COORDINATOR)
    with db.reading() as session:
        assert [line for folder in Folder for line in folders.folder(session, nobody, folder)] == []
        assert session.scalars(select(Member).where(access.access_members(nobody))).all() == []
        assert circles.listed(session, nobody) == []


@pytest.mark.parametrize("role", ROLES)
def test_the_other_roles_see_everything_whole(two: Two, role: Role) -> None:
    who = two.person("somebody", role)
    with db.reading() as session:
        seen = {line.name for folder in Folder for line in folders.folder(session, who, folder)}
        assert seen == {"Ana", "Ben", "Unknown sender"}
        assert {line.circle.name for line in circles.listed(session, who)} == {"Mine", "Other"}
        ana = session.get_one(Member, two.ana.id)
        assert {s.shown for s in card.card(session, who, ana).standings} == {ANA, "ana@example.org"}
        access.require_own_circle(session, who, None)
        for campaign in (two.for_mine, two.for_other, two.for_all):
            assert access.require_campaign(session, who, campaign)
