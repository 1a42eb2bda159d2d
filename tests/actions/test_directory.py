"""Finding members: what each role is shown, the filters, and pages that neither skip nor repeat anybody."""

from uuid import UUID

import pytest
from sqlalchemy import select

from service import clock, db
from service.actions import consent, directory, exports, imports, member_card, member_desk
from service.actions.directory import Filters
from service.errors import Forbidden, Invalid, NotFound
from service.models.gatherings import Circle, CircleMembership, CircleStaff
from service.models.members import ChannelName, Member, MemberState, Topic
from service.models.staff import Coordinator, Role

HEADER = "first_name,phone,email,topics,circle,consented_at,consent_source\n"
PEOPLE = """Ana,+12025550123,ana@example.org,,one,2026-01-05,form
ana,+12025550124,,stories,two,2026-01-05,form
Émile,,emile@example.org,checkins,one,2026-01-05,form
Zoë,+12025550126,zoe@example.org,stories,,,
"""


@pytest.fixture
def people(database: db.Database) -> dict[str, UUID]:
    with db.transaction() as session:
        for slug in ("one", "two"):
            session.add(Circle(name=slug.title(), slug=slug, keyword=slug, time_zone="UTC", created_at=clock.now()))
    assert imports.import_file((HEADER + PEOPLE).encode(), "p.csv").done
    with db.reading() as session:
        return {m.first_name: m.id for m in session.scalars(select(Member))}


def coordinator(role: Role, *slugs: str, leads: bool = False) -> Coordinator:
    """Somebody of a role, who looks after these circles (as its coordinator, if they lead it)."""
    with db.transaction() as session:
        person = Coordinator(email=f"{db.uuid7()}@example.org", name="Kai", role=role, created_at=clock.now())
        session.add(person)
        session.flush()
        for circle in session.scalars(select(Circle).where(Circle.slug.in_(slugs))):
            if leads:
                circle.coordinator_id = person.id
            else:
                session.add(CircleStaff(circle_id=circle.id, coordinator_id=person.id))
        return person


def names(person: Coordinator, **filters: object) -> list[str]:
    with db.reading() as session:
        return [m.first_name for m in directory.page(session, person, Filters(**filters)).members]  # type: ignore[arg-type]


def test_each_role_is_shown_what_it_may_see(people: dict[str, UUID]) -> None:
    for role in (Role.ADMIN, Role.SAFEGUARDING, Role.COORDINATOR):
        assert len(names(coordinator(role))) == 4
    one, two = coordinator(Role.CIRCLE_COORDINATOR, "one"), coordinator(Role.CIRCLE_COORDINATOR, "two", leads=True)
    assert sorted(names(one)) == ["Ana", "Émile"]
    assert names(two) == ["ana"]
    assert names(coordinator(Role.CIRCLE_COORDINATOR)) == []
    with db.reading() as session:
        assert [c.slug for c in directory.circles(session, one)] == ["one"]
        assert directory.counts(session, one)["all"] == 2
        assert directory.by_address(session, one, "+12025550124") == []
        assert directory.by_address(session, two, "202 555 0124") == [people["ana"]]
        page = directory.page(session, coordinator(Role.ADMIN), Filters())
        assert page.circles[people["Ana"]] == ["One"]
    with db.transaction() as session:  # who left the circle is out of sight
        place = session.scalars(select(CircleMembership).where(CircleMembership.member_id == people["Ana"])).one()
        place.left_at = clock.now()
    assert names(one) == ["Émile"]
    with pytest.raises(NotFound):
        member_card.card(one, people["Ana"])


def test_what_is_masked_and_what_is_not(people: dict[str, UUID]) -> None:
    whole = member_card.card(coordinator(Role.COORDINATOR), people["Ana"])
    assert {r.shown for r in whole.reach} == {"+12025550123", "ana@example.org"}
    masked = member_card.card(coordinator(Role.CIRCLE_COORDINATOR, "one"), people["Ana"])
    assert {r.shown for r in masked.reach} == {"+1 ••• ••• 0123", "a•••@example.org"}
    with pytest.raises(Forbidden):
        exports.members_csv(coordinator(Role.CIRCLE_COORDINATOR, "one"))


def test_acts_reach_only_who_may_be_seen(people: dict[str, UUID]) -> None:
    one = coordinator(Role.CIRCLE_COORDINATOR, "one")
    other = people["ana"]
    with db.reading() as session:
        circles = {c.slug: c.id for c in session.scalars(select(Circle))}
    for act in (
        lambda: member_desk.stop(one, other, "by phone"),
        lambda: member_desk.pause(one, other, clock.now()),
        lambda: member_desk.resume(one, other),
        lambda: member_desk.undo_stop(one, other, ChannelName.SMS, "why"),
        lambda: member_desk.leave_circle(one, other, circles["two"]),
        lambda: member_desk.add_to_circle(one, people["Ana"], circles["two"]),
        lambda: member_desk.mark_died(one, other),
        lambda: member_desk.erase(one, other, "ana"),
    ):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(Invalid):
        member_desk.stop(one, people["Ana"], " ")
    assert member_desk.leave_circle(one, people["Ana"], circles["one"])
    with db.reading() as session:
        assert session.get_one(Member, other).state == MemberState.ACTIVE


def test_filters(people: dict[str, UUID]) -> None:
    admin = coordinator(Role.ADMIN)
    with db.reading() as session:
        two = session.scalars(select(Circle.id).where(Circle.slug == "two")).one()
    assert sorted(names(admin, name="an")) == ["Ana", "ana"]
    assert names(admin, name="é") == ["Émile"], "also where the database folds ASCII alone"
    assert names(admin, name="%") == [], "a sign of the query language is a letter like others"
    assert names(admin, circle_id=two) == ["ana"]
    assert sorted(names(admin, topic=Topic.STORIES)) == ["Ana", "ana"], "Zoë has not confirmed yet"
    assert names(admin, topic=Topic.STORIES, channel=ChannelName.EMAIL) == ["Ana"]
    assert sorted(names(admin, channel=ChannelName.EMAIL)) == ["Ana", "Zoë", "Émile"]
    assert names(admin, shelf="waiting") == ["Zoë"]
    with db.transaction() as session:
        consent.stop(session, session.get_one(Member, people["Ana"]), source="text")
    assert names(admin, shelf="gone") == ["Ana"]
    assert "Ana" not in names(admin, shelf="here")


def test_who_shares_a_phone(people: dict[str, UUID]) -> None:
    admin = coordinator(Role.ADMIN)
    proof = {"consented_at": "2026-01-05", "consent_source": "told us"}
    daughter = imports.add_member({"first_name": "Dani", "phone": "+12025550123"} | proof, admin.id, shared=True)
    with db.reading() as session:
        assert directory.by_address(session, admin, "+1 202-555-0123") == sorted([people["Ana"], daughter])
    assert sorted(names(admin, sharing_with=daughter)) == ["Ana", "Dani"]
    assert member_card.card(admin, daughter).reach[0].shared


def test_pages_neither_skip_nor_repeat(database: db.Database) -> None:
    rows = "".join(f"{'Same' if i % 3 else f'N{i:02d}'},,m{i}@example.org,,,,\n" for i in range(25))
    imports.import_file((HEADER + rows).encode(), "p.csv")
    admin = coordinator(Role.ADMIN)
    with db.reading() as session:
        forwards: list[UUID] = []
        after = None
        while True:
            page = directory.page(session, admin, Filters(), after=after, limit=4)
            forwards += [m.id for m in page.members]
            after, last = page.after, page
            if after is None:
                break
        assert len(forwards) == len(set(forwards)) == 25
        backwards = [m.id for m in last.members]
        while last.before is not None:
            last = directory.page(session, admin, Filters(), before=last.before, limit=4)
            assert last.after is not None
            backwards = [m.id for m in last.members] + backwards
        assert backwards == forwards


def test_what_is_meant_as_an_address() -> None:
    assert directory.looks_like_address("ana@")
    assert directory.looks_like_address("(202) 555")
    assert not directory.looks_like_address("Ana 2")
