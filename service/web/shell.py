"""What surrounds every page of the console: the navigation, the inbox's count, and open risk flags.

All of it is worked out only when a template asks, so that an error page can be shown without the database.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from flask import Flask, current_app, g, request, url_for
from sqlalchemy import ColumnElement, false, func, select, true

from service import config, db
from service.actions.giving import desk
from service.models.conversations import Conversation, ConversationState, Flag
from service.models.gatherings import Circle, CircleMembership, CircleStaff
from service.models.staff import Coordinator, Role
from service.web import assets


class Place(NamedTuple):
    """One entry of the navigation. `blueprint` has its landing page at the endpoint `index`."""

    blueprint: str
    label: str
    icon: str
    key: str


NAV = (
    Place("today", "Today", "sun", "g t"),
    Place("inbox", "Inbox", "inbox", "g i"),
    Place("desk", "Desk", "heart", "g d"),
    Place("campaigns", "Campaigns", "send", "g c"),
    Place("members", "Members", "people", "g m"),
    Place("sessions", "Sessions", "calendar", "g s"),
    Place("stories", "Stories", "book", "g h"),
    Place("report", "Report", "chart", "g r"),
    Place("settings", "Settings", "sliders", "g ,"),
)


_BROWSERS = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class OpenFlags:
    """Risk flags that nobody has acknowledged yet."""

    count: int
    oldest: datetime | None


class Shell:
    """Read by `templates/console/base.html` as `shell`."""

    @property
    def nav(self) -> list[dict[str, object]]:
        """The places that this installation has, in order, with the current one marked."""
        return [
            {
                "label": place.label,
                "icon": place.icon,
                "key": place.key,
                "url": url_for(f"{place.blueprint}.index"),
                "current": request.blueprint == place.blueprint,
                "counts": place.blueprint,
                "waiting": self._waits_at(place.blueprint),
            }
            for place in NAV
            if endpoint_exists(f"{place.blueprint}.index")
        ]

    @property
    def home(self) -> str:
        """Where a coordinator begins."""
        return home()

    @cached_property
    def waiting(self) -> int:
        """Conversations in which a person still has to answer."""
        query = (
            select(func.count()).select_from(Conversation).where(Conversation.state == ConversationState.NEEDS_REPLY)
        )
        with db.reading() as session:
            return session.scalar(query.where(_within_reach(Conversation.member_id))) or 0

    @cached_property
    def at_desk(self) -> int:
        """Things that members passed on and a person has still to decide about."""
        me: Coordinator | None = g.get("me")
        if me is None:
            return 0
        with db.reading() as session:
            return desk.count(session, me)

    def _waits_at(self, blueprint: str) -> int | None:
        return {"inbox": lambda: self.waiting, "desk": lambda: self.at_desk}.get(blueprint, lambda: None)()

    @cached_property
    def flags(self) -> OpenFlags:
        """Shown red on every page until somebody acknowledges them (rule of conversation 3)."""
        query = select(func.count(), func.min(Flag.opened_at)).where(
            Flag.acknowledged_at.is_(None), Flag.cleared_at.is_(None), _within_reach(Flag.member_id)
        )
        with db.reading() as session:
            count, oldest = session.execute(query).one()
        return OpenFlags(count, oldest)

    @property
    def signature(self) -> str:
        """Changes whenever the flags or the inbox's count do."""
        oldest = int(self.flags.oldest.timestamp()) if self.flags.oldest else 0
        return f"{self.flags.count}-{oldest}-{self.waiting}"


def init_app(app: Flask) -> None:
    """Offer `shell`, `me`, `org`, `asset()`, `vendor()` to every template."""
    app.jinja_env.filters["browser"] = browser
    app.jinja_env.globals.update(asset=assets.asset, vendor=assets.vendor, endpoint_exists=endpoint_exists)

    @app.context_processor
    def _context() -> dict[str, object]:
        return {"shell": Shell(), "me": g.get("me"), "org": config.current()}


def home() -> str:
    """The address of the first place of the navigation that this installation has."""
    found = [place for place in NAV if endpoint_exists(f"{place.blueprint}.index")]
    return url_for(f"{found[0].blueprint}.index") if found else url_for("auth.account")


def browser(user_agent: str) -> str:
    """`"Firefox on Android"`: enough for a person to recognise their own device."""
    name = next((n for sign, n in _BROWSERS if sign in user_agent), "A browser")
    system = next((n for sign, n in _SYSTEMS if sign in user_agent), "")
    return f"{name} on {system}" if system else name


def endpoint_exists(name: str) -> bool:
    """Whether a page of this name is part of this installation."""
    return name in current_app.view_functions


def _within_reach(member_id: ColumnElement[object] | object) -> ColumnElement[bool]:
    """Everything, except for a circle coordinator: only members of their own circles."""
    me: Coordinator | None = g.get("me")
    if me is None:
        return false()
    if me.role is not Role.CIRCLE_COORDINATOR:
        return true()
    led = select(Circle.id).where(Circle.coordinator_id == me.id)
    shared = select(CircleStaff.circle_id).where(CircleStaff.coordinator_id == me.id)
    mine = select(CircleMembership.member_id).where(
        CircleMembership.left_at.is_(None),
        CircleMembership.circle_id.in_(led.union(shared)),
    )
    return member_id.in_(mine)  # type: ignore[union-attr]
