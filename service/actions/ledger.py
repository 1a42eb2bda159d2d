"""The append-only ledger of consents, and the marks "never contact". Written by `actions.consent` and whoever else
takes or ends a consent; the database itself refuses to change a line.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import contacts, stops
from service.models.members import ChannelName, ConsentEvent, ConsentKind, Suppression, Topic


def record(
    session: Session,
    member_id: UUID,
    kind: ConsentKind,
    *,
    channel: ChannelName | None = None,
    topics: Iterable[Topic] = (),
    source: str,
    wording: str = "",
    evidence: str = "",
    ip: str | None = None,
    actor: str = "member",
) -> ConsentEvent:
    """Add one line to the ledger. `wording` is exactly what the person saw; `evidence` names a message or import."""
    event = ConsentEvent(
        member_id=member_id,
        kind=kind,
        channel=channel,
        topics=",".join(t.value for t in in_order(topics)),
        source=source[:120],
        wording=wording,
        evidence=evidence[:120],
        ip=ip,
        actor=actor[:60],
        at=clock.now(),
    )
    session.add(event)
    session.flush()
    return event


def suppressed(session: Session, channel: ChannelName, value: str) -> bool:
    """Whether this address asked never to be contacted."""
    return session.get(Suppression, (channel, db.blind_index(channel, contacts.normal(channel, value)))) is not None


def suppress(session: Session, channel: ChannelName, value: str, reason: str, source: str) -> bool:
    """Mark an address "never contact"; whether the mark is new. The mark is a keyed hash and outlives the member."""
    digest = db.blind_index(channel, contacts.normal(channel, value))
    new = insert_once(
        session,
        Suppression,
        channel=channel,
        index_hash=digest,
        reason=reason[:40],
        source=source[:120],
        at=clock.now(),
    )
    if new:
        stops.remember(
            channel, digest, reason[:40], clock.now()
        )  # at once: one that is asked for must not be forgotten
    return new


def unsuppress(session: Session, channel: ChannelName, value: str) -> bool:
    """Take the mark away; whether there was one. Only START or JOIN from that address, or a staff undo, may do so."""
    digest = db.blind_index(channel, contacts.normal(channel, value))
    gone = session.execute(delete(Suppression).where(Suppression.channel == channel, Suppression.index_hash == digest))
    lifted = bool(gone.rowcount)  # type: ignore[attr-defined]
    if lifted:  # only when it is certain: what comes to nothing must not undo a stop
        at = clock.now()
        db.on_commit(session, f"back:{channel}:{digest.hex()}", lambda: stops.remember(channel, digest, "", at))
    return lifted


def staff(coordinator_id: UUID | str) -> str:
    """How whoever acted for a member is named in the ledger: a coordinator by id, a program as `api:ID`."""
    return coordinator_id if isinstance(coordinator_id, str) else f"coordinator:{coordinator_id}"


def ended_by_stop_all(session: Session, member_id: UUID, channel: ChannelName) -> set[Topic]:
    """The topics that a stop of everything ended on this channel, and that nothing has touched since."""
    ledger = (
        select(ConsentEvent.kind, ConsentEvent.topics)
        .where(ConsentEvent.member_id == member_id, ConsentEvent.channel == channel)
        .order_by(ConsentEvent.id)
    )
    ended: set[Topic] = set()
    for kind, named in session.execute(ledger):
        topics = {Topic(t) for t in named.split(",") if t}
        ended = ended | topics if kind == ConsentKind.SUPPRESSED else ended - topics
    return ended


def insert_once(session: Session, model: type[db.Base], **values: Any) -> bool:
    """Insert a row unless its key exists; whether it was new. Two processes at once: the second waits, then sees it."""
    result = session.execute(db.insert(model.__table__).values(**values).on_conflict_do_nothing())
    return bool(result.rowcount)  # type: ignore[attr-defined]


def in_order(topics: Iterable[Topic]) -> list[Topic]:
    """Each topic once, in the order in which pages show them."""
    wanted = set(topics)
    return [t for t in Topic if t in wanted]
