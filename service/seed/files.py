"""The seed files of `service/seed_data`, with their relative times made into moments.

"Today" is one date for everybody, the westernmost of all the zones that are named: so "-1d 22:10" is over wherever
it was, and what answers a message of the same day comes after it.
"""

import re
import tomllib
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service import config
from service.actions.seeding import Row, Rows, chance

FOLDER = config.ROOT / "service" / "seed_data"
MOMENTS = frozenset(
    ["joined", "paused", "left", "published_at", "sent", "at", "opened_at", "answered_at", "paged_at",
     "acknowledged_at", "cleared_at", "passed_at"]
)  # fmt: skip
DAYS = frozenset(["loss", "review_by"])
_DAYS = re.compile(r"([-+]\d+)d(?: (\d\d:\d\d))?")
_AGO = re.compile(r"-(?=\d)(?:(\d+)h)?(?:(\d+)m)?")
_FIRST_HOUR, _HOURS = 9, 10


def read(now: datetime) -> Rows:
    """Every seed file as of `now` (timezone-aware)."""
    staff, members = _load("coordinators"), _load("members")
    sessions = _load("sessions")
    zone_of = {row["key"]: str(row["time_zone"]) for row in [*staff["coordinator"], *members["member"]]}
    today = min(now.astimezone(ZoneInfo(zone)).date() for zone in zone_of.values())

    def placed(rows: list[Row], whose: str) -> list[Row]:
        """`rows` with moments on the clock of the coordinator or member that `whose` names."""
        return [_placed(row, ZoneInfo(zone_of[row[whose]]), today, now) for row in rows]

    return Rows(
        weeks=staff["weeks"],
        coordinators=staff["coordinator"],
        duty=staff["duty"],
        circles=_load("circles")["circle"],
        members=placed(members["member"], "key"),
        stories=placed(_load("stories")["story"], "author"),
        tools=placed(_load("tools")["tool"], "owner"),
        series=_load("tools")["series"],
        meetings=sessions["circle"],
        rsvps=placed(sessions["rsvp"], "member"),
        campaigns=placed(_load("campaigns")["campaign"], "created_by"),
        rhythms=_load("campaigns")["rhythm"],
        conversations=placed(_load("conversations")["conversation"], "member"),
        gifts=placed(_load("gifts")["gift"], "member"),
        vents=placed(_load("vents")["vent"], "member"),
    )


def moment(text: str, zone: ZoneInfo, today: date, now: datetime, about: object = "") -> datetime:
    """`-6d 11:24`, `-730d` or `-2h40m` as a moment. A day without an hour gets one in daytime, always the same for
    the same `about`. Raises ValueError for anything else.
    """
    if found := _DAYS.fullmatch(text):
        day = today + timedelta(days=int(found[1]))
        hour = time.fromisoformat(found[2]) if found[2] else _hour(about)
        return datetime.combine(day, hour, zone).astimezone(UTC)
    if found := _AGO.fullmatch(text):
        return now - timedelta(hours=int(found[1] or 0), minutes=int(found[2] or 0))
    raise ValueError(f"not a time of a seed file: {text!r}")


def _hour(about: object) -> time:
    minutes = int(chance("hour", about) * _HOURS * 60)
    return time(_FIRST_HOUR + minutes // 60, minutes % 60)


def _placed(row: Row, zone: ZoneInfo, today: date, now: datetime) -> Row:
    """A copy of the row, and of the rows in it, with moments and days in place of words."""
    made: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            value = _placed(value, zone, today, now)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            value = [_placed(each, zone, today, now) for each in value]
        elif name in MOMENTS:
            value = moment(value, zone, today, now, about=row.get("key"))
        elif name in DAYS and isinstance(value, str):  # a story says only whether there was a loss
            value = moment(value, zone, today, now).astimezone(zone).date()
        made[name] = value
    return made


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
