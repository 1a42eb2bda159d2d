"""A crisis, from the text to the clearing: answered once, paged until somebody has it, and never forgotten."""

from datetime import timedelta

from sqlalchemy import select

from service import clock, db
from service.actions import housekeeping, safety
from service.models.conversations import Conversation, ConversationState, Flag
from service.models.staff import Coordinator, DutyShift, Role
from tests.flows.world import World, add_member

ANA = "+12025550123"
MAYA, IDRIS, LEE = "+12025550190", "+12025550191", "+12025550192"


def staff(name: str, phone: str, role: Role, tier: int | None = None) -> Coordinator:
    now = clock.now()
    with db.transaction() as session:
        person = Coordinator(
            id=db.uuid7(), email=f"{name.lower()}@hearthline.example", name=name, role=role, phone=phone, created_at=now
        )
        session.add(person)
        session.flush()
        if tier:
            session.add(DutyShift(coordinator_id=person.id, starts_at=now, ends_at=now + timedelta(days=3), tier=tier))
    return person


def flag() -> Flag:
    with db.reading() as session:
        return session.scalars(select(Flag)).one()


def test_the_page_goes_up_the_rota_until_somebody_answers_it_by_text(world: World) -> None:
    staff("Maya", MAYA, Role.COORDINATOR, tier=1)
    staff("Idris", IDRIS, Role.COORDINATOR, tier=2)
    staff("Lee", LEE, Role.SAFEGUARDING)
    add_member("Ana", ANA)
    world.text(ANA, "I don't want to be alive anymore, I have the pills here")
    assert [len(world.phone(p)) for p in (MAYA, IDRIS, LEE)] == [1, 0, 0]
    assert "pills" not in world.phone(MAYA)[0]
    later = clock.now()
    for minutes, paged in ((11, [2, 1, 0]), (22, [3, 2, 1])):
        with clock.frozen_at(later + timedelta(minutes=minutes)):
            housekeeping.run()
            world.work()
        assert [len(world.phone(p)) for p in (MAYA, IDRIS, LEE)] == paged
    world.text(IDRIS, "got it")
    assert "you have it (1)" in world.phone(IDRIS)[-1]
    assert flag().acknowledged_at is not None
    with db.reading() as session:
        assert session.scalars(select(Conversation).where(Conversation.member_id.is_(None))).all() == []
    with clock.frozen_at(later + timedelta(minutes=40)):
        assert "paged" not in housekeeping.run()


def test_a_word_of_a_member_never_takes_a_page(world: World) -> None:
    staff("Maya", MAYA, Role.COORDINATOR, tier=1)
    add_member("Ana", ANA)
    world.text(ANA, "i want to die")
    world.text(ANA, "ok")
    assert flag().acknowledged_at is None


def test_a_flag_that_was_taken_and_left_comes_back_every_day(world: World) -> None:
    maya = staff("Maya", MAYA, Role.COORDINATOR, tier=1)
    add_member("Ana", ANA)
    world.text(ANA, "i want to die")
    safety.acknowledge(flag().id, maya.id)
    with db.transaction() as session:
        session.scalars(select(Conversation)).one().state = ConversationState.RESOLVED
    with clock.frozen_at(clock.now() + timedelta(hours=20)):
        assert safety.raise_daily() == 0
    with clock.frozen_at(clock.now() + timedelta(hours=25)):
        assert safety.raise_daily() == 1
        assert safety.raise_daily() == 0  # once a day
    with db.reading() as session:
        assert session.scalars(select(Conversation)).one().state == ConversationState.NEEDS_REPLY


def test_nobody_on_the_rota_means_everybody_who_may_act_is_paged(world: World) -> None:
    staff("Lee", LEE, Role.SAFEGUARDING)
    staff("Maya", MAYA, Role.COORDINATOR)
    add_member("Ana", ANA)
    world.text(ANA, "i want to die")
    assert [len(world.phone(p)) for p in (LEE, MAYA)] == [1, 0]


def test_without_any_coordinator_the_page_goes_to_the_last_resort(world: World, configure) -> None:  # type: ignore[no-untyped-def]
    configure(safety_page_sms=MAYA)
    add_member("Ana", ANA)
    world.text(ANA, "i want to die")
    assert len(world.phone(MAYA)) == 1


def test_the_page_comes_again_at_once_when_the_provider_will_not_let_us_text_them(world: World) -> None:
    """They sent STOP to the provider long ago: our answer is refused (21610), so it never arrived."""
    maya = staff("Maya", MAYA, Role.COORDINATOR, tier=1)
    add_member("Ana", ANA)
    world.standin.provoke("refused", "sms", address=ANA, code=21610, times=5)
    world.text(ANA, "i want to die")
    housekeeping.run()  # the minute after
    world.work()
    assert flag().cannot_text
    assert ["NOT" in page for page in world.phone(MAYA)] == [False, True]
    housekeeping.run()
    world.work()
    assert len(world.phone(MAYA)) == 2  # then every ten minutes, as always
    safety.acknowledge(flag().id, maya.id)
