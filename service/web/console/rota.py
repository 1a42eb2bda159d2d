"""The rota's page: a week drawn by day and tier, its gaps, and shifts put on and taken off."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, IntegerField, SelectField, TimeField
from wtforms.validators import InputRequired

from service import clock, db
from service.actions import rota as actions
from service.actions import team
from service.errors import Invalid
from service.models.staff import DutyShift
from service.web.auth import me, signed_in
from service.web.forms import HearthForm, put_error
from service.web.times import viewer_zone


class ShiftForm(HearthForm):
    """A shift, once or weekly. The hours are the coordinator's who types them."""

    coordinator_id = SelectField("Who", choices=[])
    day = DateField("First day", [InputRequired("Choose a day.")])
    start = TimeField("From", [InputRequired("Choose an hour.")])
    until = TimeField("Until", [InputRequired("Choose an hour.")])
    tier = SelectField("Paged", choices=[("1", "First"), ("2", "Second"), ("3", "Last (lead)")])
    weeks = IntegerField("For how many weeks", [InputRequired("How many?")])


class Bar(NamedTuple):
    """A shift, or the part of it on one day; `x` and `width` in percent of the day."""

    x: float
    width: float
    tier: int
    label: str


class Day(NamedTuple):
    """One day of the week as it is drawn."""

    day: date
    bars: list[Bar]
    empty: list[Bar]


@signed_in
def rota() -> ResponseReturnValue:
    """The week with its gaps."""
    usual = {"day": clock.now().astimezone(viewer_zone()).date(), "weeks": 1, "start": time(9), "until": time(17)}
    return _page(ShiftForm(formdata=None, data=usual))


@signed_in
def add() -> ResponseReturnValue:
    """Put somebody on duty."""
    form = ShiftForm()
    _offer(form)
    if form.validate_on_submit():
        try:
            made = _add(form)
        except Invalid as error:
            put_error(form, error)
        else:
            flash(f"{made} {'shift is' if made == 1 else 'shifts are'} on the rota." if made else
                  "That is on the rota already.", "good")  # fmt: skip
            return redirect(url_for("settings.rota", week=form.day.data.isoformat()))
    return _page(form, 422)


def _add(form: ShiftForm) -> int:
    """The same hours on the wall each week, also when the clocks change in between."""
    zone = viewer_zone()
    weeks = max(0, min(form.weeks.data, actions.MOST_WEEKS + 1))
    starts = [
        datetime.combine(form.day.data + timedelta(weeks=n), form.start.data, zone).astimezone(UTC)
        for n in range(weeks)
    ]
    last_day = form.day.data + timedelta(
        days=form.until.data <= form.start.data
    )  # until 8:00 after 22:00: the next day
    ends = datetime.combine(last_day, form.until.data, zone).astimezone(UTC)
    lasts = ends - starts[0] if starts else timedelta()
    return actions.add(me(), UUID(form.coordinator_id.data), starts, lasts, int(form.tier.data))


@signed_in
def remove(shift_id: UUID) -> ResponseReturnValue:
    """Take a shift off."""
    actions.remove(me(), shift_id)
    flash("The shift is off the rota.", "good")
    return redirect(url_for("settings.rota", week=request.form.get("week")))


def _offer(form: ShiftForm) -> None:
    with db.reading() as session:
        people = [p for p in team.people(session) if p.active]
    form.coordinator_id.choices = [(str(p.id), p.name) for p in people]


def _page(form: ShiftForm, status: int = 200) -> ResponseReturnValue:
    _offer(form)
    monday = _monday()
    start, end = _midnight(monday), _midnight(monday + timedelta(days=7))
    with db.reading() as session:
        found = actions.shifts(session, start, end)
    now = clock.now()
    empty = actions.gaps(found, start, end)
    page = render_template(
        "console/settings/rota.html",
        form=form,
        days=[_drawn(monday + timedelta(days=n), found, empty) for n in range(7)],
        shifts=found,
        gaps=[(max(a, now), b) for a, b in empty if b > now],
        monday=monday,
        before=monday - timedelta(days=7),
        after=monday + timedelta(days=7),
        now=now,
        may_change=actions.may_change(me()),
        TIERS=actions.TIERS,
    )
    return page, status


def _monday() -> date:
    try:
        day = date.fromisoformat(request.values.get("week", "") or request.form.get("day", ""))
    except ValueError:
        day = clock.now().astimezone(viewer_zone()).date()
    return day - timedelta(days=day.weekday())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), viewer_zone()).astimezone(UTC)


def _drawn(day: date, found: list[DutyShift], empty: list[tuple[datetime, datetime]]) -> Day:
    start, end = _midnight(day), _midnight(day + timedelta(days=1))
    bars = [
        _bar(s.starts_at, s.ends_at, start, end, s.tier, s.coordinator.name)
        for s in found
        if s.starts_at < end and s.ends_at > start
    ]
    gaps = [_bar(a, b, start, end, 0, "nobody") for a, b in empty if a < end and b > start]
    return Day(day, bars, gaps)


def _bar(begin: datetime, finish: datetime, start: datetime, end: datetime, tier: int, name: str) -> Bar:
    whole = (end - start).total_seconds()  # 23 or 25 hours when the clocks change
    begin, finish = max(begin, start), min(finish, end)
    zone = viewer_zone()
    label = f"{name}, {begin.astimezone(zone):%H:%M} to {finish.astimezone(zone):%H:%M}"
    x = 100 * (begin - start).total_seconds() / whole
    return Bar(x, 100 * (finish - begin).total_seconds() / whole, tier, label)
