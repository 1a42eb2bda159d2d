"""Late news about emails: while it comes, silence about an email proves nothing.

After our web server was away the email provider brings what it kept back little by little, for hours, while news about
newer emails arrives at once. An email of unknown outcome whose event is still on its way would look absent, and a
request of a thousand emails would leave a second time.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import db

LATE = timedelta(seconds=120)
"""An event that arrives so long after it happened is late; on ordinary days it takes seconds."""
GRACES = 4
"""How many graces must pass after the last late event: the provider waits longer between two tries than at first."""
NAME = "email_events_late"
_APART = timedelta(seconds=30)


def note(session: Session, received_at: datetime) -> None:
    """Write down that a late event arrived then; one note for a while of them is enough."""
    last = _last(session)
    if last is not None and received_at < last + _APART:
        return
    data = {"at": received_at.isoformat()}
    table = db.system_values
    statement = db.insert(table).values(name=NAME, data=data)
    session.execute(statement.on_conflict_do_update(index_elements=[table.c.name], set_={"data": data}))


def may_come(session: Session, now: datetime, grace: timedelta) -> bool:
    """Whether events of a while ago may still be on their way to us."""
    last = _last(session)
    return last is not None and now < last + GRACES * grace


def _last(session: Session) -> datetime | None:
    data = session.scalar(select(db.system_values.c.data).where(db.system_values.c.name == NAME))
    return datetime.fromisoformat(data["at"]) if data else None
