"""Circles for strangers: all that are open, a search by theme and time, two questions and a match, and one by one.

Nothing is typed here and nothing is kept: what somebody is looking for is chosen from lists, so that no words about
them stand in an address, a history or a log.
"""

from dataclasses import dataclass

from flask import g, render_template, request, session
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from service import config, db
from service.actions import zones
from service.actions.belonging import words
from service.actions.belonging.places import Room
from service.actions.finding import matching
from service.actions.finding.matching import Shown
from service.errors import NotFound
from service.models.gatherings import Circle, Openness
from service.web import languages, public_words
from service.web.languages import gettext as _

WHEN = ("morning", "afternoon", "evening", "weekend")
ZONE = "circles_zone"
"""The key in the browser's session: the zone in which somebody wants to read the times."""


@dataclass(frozen=True)
class Asked:
    """What somebody chose from the two lists; "" is any."""

    theme: str
    when: str


def circles() -> ResponseReturnValue:
    """All circles that are open, or those that a theme and a time leave."""
    asked = _asked()
    with db.reading() as reading:
        found = matching.open_circles(reading)
    kept = [s for s in found if _is_about(s, asked) and (not asked.when or matching.fits(s, [asked.when], _zone()))]
    return _page("public/circles.html", found, asked, shown=kept, searched=bool(asked.theme or asked.when))


def find() -> ResponseReturnValue:
    """Two gentle questions, and up to three circles that could suit."""
    asked = _asked()
    with db.reading() as reading:
        found = matching.open_circles(reading)
    wanted = [asked.when] if asked.when else []
    shown, exact = matching.match(found, asked.theme, wanted, _zone(), languages.language())
    answered = "theme" in request.args or "when" in request.args
    return _page("public/find.html", found, asked, shown=shown if answered else [], exact=exact, answered=answered)


def circle(slug: str) -> ResponseReturnValue:
    """One circle; kindly also one that has closed, rests, or takes an invitation."""
    code = request.args.get("code", "").strip().upper()
    with db.reading() as reading:
        found = reading.scalar(select(Circle).where(Circle.slug == slug))
        invited = found is not None and bool(found.invite_code) and found.invite_code == code
        if found is None or (found.openness == Openness.INVITE and not invited and found.closed_at is None):
            raise NotFound("There is no open circle of this name.")
        [shown] = matching.shown(reading, [found])
        g.private = invited
        gone = found.closed_at is not None
        others = [s for s in matching.open_circles(reading) if s.circle.id != found.id][:3] if gone else []
    page = _page(
        "public/circle.html", [shown], Asked("", ""), circle=found, one=shown, code=code if invited else "",
        others=others, number=config.current().twilio_from,
    )  # fmt: skip
    return page, 410 if gone else 200


def choosable(slug: str, code: str) -> list[Shown]:
    """The circles that the join page offers: all that are open, and the one that a code opens."""
    with db.reading() as reading:
        found = matching.open_circles(reading)
        if slug and code:
            opened = (Circle.slug == slug, Circle.invite_code == code.strip().upper(), Circle.closed_at.is_(None))
            found = matching.shown(reading, list(reading.scalars(select(Circle).where(*opened)))) + found
    return list({s.circle.id: s for s in found}.values())


def _asked() -> Asked:
    when = request.args.get("when", "")
    return Asked(request.args.get("theme", "").strip()[:120], when if when in WHEN else "")


def _is_about(found: Shown, asked: Asked) -> bool:
    return not asked.theme or found.circle.theme.strip().casefold() == asked.theme.casefold()


def _zone() -> str:
    """The zone that the visitor chose, by ?zone= and remembered; "" for each circle's own."""
    chosen = request.args.get("zone")
    if chosen is not None:
        session[ZONE] = chosen if chosen and zones.valid(chosen) else ""
    return str(session.get(ZONE, ""))


def _page(template: str, found: list[Shown], asked: Asked, **more: object) -> str:
    zone = _zone()
    return render_template(
        template,
        asked=asked,
        zone=zone,
        themes=[("", _("Anything"))] + [(t, t) for t in matching.themes(found, languages.language())],
        times=[("", _("Any time")), *times_of_day()],
        time_zones=[("", _("Each circle's own")), *public_words.time_zones()],
        rhythm=lambda circle: words.rhythm(circle, languages.language()),
        room=room_words,
        **more,
    )


def times_of_day() -> list[tuple[str, str]]:
    """The times of the second question."""
    return list(zip(WHEN, (_("Mornings"), _("Afternoons"), _("Evenings"), _("Weekends")), strict=True))


def room_words(shown: Shown) -> str:
    """How much room there is, in kind words; "" where nobody counts."""
    if shown.circle.openness == Openness.ASK:
        return _("A person says yes first.")
    if shown.circle.most_members is None:
        return ""
    return {
        Room.PLENTY: _("There is room."),
        Room.FEW: _("A few places are free."),
        Room.ONE: _("One place is free."),
        Room.FULL: _("Full for now; you can stand in line."),
    }[shown.room]
