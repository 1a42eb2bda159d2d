"""One measured number with what it is compared to: the ceiling of the same run, and the goal of DESIGN section 9."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`, measured on `database`; `ceiling` is in the same unit, named by `beside`."""

    row: str
    database: str
    what: str
    value: float
    unit: str
    beside: str = ""
    ceiling: float | None = None
    goal: float | None = None
    at_least: bool = True
    """Whether the goal is a least value (a rate) or a most (seconds, bytes)."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The share of the ceiling that was reached, 1 being all of it; None without one."""
        if not self.ceiling or not self.value:
            return None
        return self.value / self.ceiling if self.at_least else self.ceiling / self.value

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "row": self.row,
            "database": self.database,
            "what": self.what,
            "value": round(self.value, 4),
            "unit": self.unit,
            "beside": self.beside,
            "ceiling": None if self.ceiling is None else round(self.ceiling, 4),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "goal": self.goal,
            "at_least": self.at_least,
            "met": self.met,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Point:
    """What one campaign to `recipients` cost, from the freeze to the last record."""

    database: str
    recipients: int
    freeze_seconds: float
    freeze_memory: float
    """Bytes by which the freezing worker grew."""
    redis_growth: float
    """Bytes by which Redis grew."""
    freeze_ceiling: float
    """Seconds of one bare INSERT … SELECT of as many rows."""
    send_seconds: float = 0.0
    send_cpu: float = 0.0
    """Seconds of processor time of the sending worker."""
    worker_memory: float = 0.0
    """Bytes that the sending worker held at most."""
    idle_memory: float = 0.0
    """Bytes that it held before the campaign."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a database finds what one statement of a claim asks for."""

    database: str
    rows: int
    """Deliveries in the table."""
    statement: str
    lines: list[str]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of `values` do not exceed (nearest rank); NaN without values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
