"""Rhythms of all kinds: the list with the days to come, the form, and pausing, taking up again, ending."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from babel.dates import format_date
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange
from wtforms.validators import Optional as Maybe

from service import clock, config, db
from service.actions import access, campaigns
from service.actions.campaigns import choosing
from service.actions.checkins import beginning
from service.actions.checkins import rhythms as actions
from service.actions.checkins.kinds import KINDS
from service.actions.checkins.rhythms import RhythmDetails
from service.errors import DomainError
from service.models.checkins import Every, Rhythm, RhythmKind
from service.models.members import ChannelName
from service.web import languages
from service.web.auth import me, signed_in
from service.web.forms import HearthForm, put_error
from service.web.times import day as day_words
from service.web.times import viewer_zone

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EVERY = [
    (Every.WEEK.value, "Every week"),
    (Every.TWO_WEEKS.value, "Every second week"),
    (Every.MONTH.value, "Every month"),
]
PLACES = [(channel, language) for channel in ChannelName for language in ("en", "es")]


@dataclass(frozen=True)
class Words:
    """How the pages speak of one kind of rhythm."""

    label: str
    name: str
    """What a new one is called."""
    everybody: str
    hint: str
    """About the words that are sent."""


WORDS: dict[RhythmKind, Words] = {
    RhythmKind.CHECKIN: Words(
        "Check-in", "How are you today?", "Everybody who has check-ins on",
        "How to answer (1 very hard … 5 good) and how to stop are added where they are missing.",
    ),
    RhythmKind.PROMPT: Words(
        "You too?", "You too?", "Everybody who has hope stories on",
        "{{ prompt_body }} is the next prompt that waits; a day without one is let go. How to answer (ME TOO) and how "
        "to stop are added where they are missing.",
    ),
    RhythmKind.STORY: Words(
        "Hope stories", "A story from one of us", "Everybody who has hope stories on",
        "Each member gets the next published story in their language that they have never had, about nothing that they "
        "left out. ME TOO is added, or taken out, as the story allows.",
    ),
}  # fmt: skip


class RhythmForm(HearthForm):
    """A rhythm; days of the week and channels are boxes beside it."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=80)])
    circle_id = SelectField("Who is asked", choices=[])
    every = SelectField("How often", choices=EVERY)
    month_day = IntegerField("Day of the month", [Maybe(), NumberRange(1, 28, "Choose a day from 1 to 28.")])
    local_time = StringField("At", [InputRequired("Type the hour like 11:00.")])
    starts_on = DateField("From", [Maybe()])
    sms_en_body = TextAreaField("Text in English")
    sms_es_body = TextAreaField("Text in Spanish")
    email_en_subject = StringField("Subject in English", [Length(max=200)])
    email_en_body = TextAreaField("Email in English")
    email_es_subject = StringField("Subject in Spanish", [Length(max=200)])
    email_es_body = TextAreaField("Email in Spanish")


@signed_in
def listed() -> ResponseReturnValue:
    """The rhythms, the next first."""
    with db.reading() as session:
        rows = actions.listed(session, me())
    return render_template(
        "console/campaigns/rhythms.html",
        rows=rows,
        said=said,
        short=_short,
        words=WORDS,
        kinds=list(KINDS),
        today=_today(),
    )


def _short(day: date) -> str:
    """`7 Dec`"""
    return str(format_date(day, "d MMM", locale=languages.locale()))


def said(rhythm: Rhythm) -> str:
    """`Every second week on Tuesday and Friday, 11:00`."""
    often = dict(EVERY)[rhythm.every.value]
    if rhythm.every == Every.MONTH:
        return f"{often} on day {rhythm.month_day}, {rhythm.local_time}"
    names = [WEEKDAYS[int(day)] for day in rhythm.days.split(",") if day]
    together = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{often} on {together}, {rhythm.local_time}"


@signed_in
def new() -> ResponseReturnValue:
    """Set one up."""
    kind = _kind(request.args.get("kind", ""))
    usual: dict[str, Any] = {"name": WORDS[kind].name, "local_time": "11:00", "starts_on": _today()}
    for channel, language in PLACES:
        subject, body = campaigns.starter(KINDS[kind].campaign, channel, language)
        usual |= {f"{channel}_{language}_subject": subject, f"{channel}_{language}_body": body}
    channels = list(config.current().enabled_channels)
    return _form(None, kind, RhythmForm(data=None if request.method == "POST" else usual), ["1"], channels)


def _today() -> date:
    return clock.now().astimezone(viewer_zone()).date()


def _kind(typed: str) -> RhythmKind:
    return next((kind for kind in KINDS if kind == typed), RhythmKind.CHECKIN)


@signed_in
def edit(rhythm_id: UUID) -> ResponseReturnValue:
    """Change one: it counts from the next that has not been made."""
    with db.reading() as session:
        found = actions.get(session, me(), rhythm_id)
    typed: dict[str, Any] = {name: getattr(found, name) for name in ("name", "month_day", "local_time", "starts_on")}
    typed |= {"every": found.every.value, "circle_id": str(found.circle_id or "")}
    for content in found.contents:
        place = f"{content['channel']}_{content['language']}"
        typed |= {f"{place}_subject": content["subject"], f"{place}_body": content["body"]}
    form = RhythmForm(data=None if request.method == "POST" else typed)
    return _form(found, found.kind, form, found.days.split(","), found.channels.split(","))


@signed_in
def act(rhythm_id: UUID, what: str) -> ResponseReturnValue:
    """Pause, take up again, end."""
    acts = {"pause": actions.pause, "resume": actions.resume, "end": actions.end}
    done = {
        "pause": "It rests. What is on its way already goes on; pause that on its own page.",
        "resume": "It goes on.",
        "end": "Ended. What was answered stays with the members.",
    }
    acts[what](rhythm_id, me())
    flash(f"{done[what]} {_next_words(rhythm_id, 'next')}" if what == "resume" else done[what], "good")
    return redirect(url_for("campaigns.rhythms"))


def _next_words(rhythm_id: UUID, which: str) -> str:
    """When the first one comes, or the next, and why that is not today."""
    with db.reading() as session:
        found = beginning.told(session, rhythm_id)
        hour = actions.get(session, me(), rhythm_id).local_time
    if found is None:
        return "It rests until you take it up again."
    when = "today" if found.today else f"on {day_words(found.day)}"
    words = f"The {which} one comes {when}, at {hour} on each member’s own clock."
    if found.let_go:
        return f"{words} Today’s {hour} is over for most of them, or too near."
    if found.over_somewhere:
        return f"{words} Where {hour} is over already, it leaves as soon as it may."
    return words


def _form(
    found: Rhythm | None, kind: RhythmKind, form: RhythmForm, days: Sequence[str], channels: Sequence[str]
) -> ResponseReturnValue:
    with db.reading() as session:
        circles = [(str(circle.id), circle.name) for circle in choosing.circles(session, me())]
    everybody = [("", WORDS[kind].everybody)] if access.sees_everything(me()) else []
    form.circle_id.choices = everybody + circles
    errors: dict[str, str] = {}
    if form.is_submitted():
        days, channels = request.form.getlist("days"), request.form.getlist("channels")
    if form.validate_on_submit():
        try:
            saved = actions.save(found.id if found else None, me(), _details(form, kind, days, channels))
        except DomainError as error:
            if error.field in ("days", "channels"):
                errors[error.field] = error.message
            else:
                put_error(form, error)
        else:
            flash(f"Saved. {_next_words(saved, 'next' if found else 'first')}", "good")
            return redirect(url_for("campaigns.rhythms"))
    page = render_template(
        "console/campaigns/edit_rhythm.html", form=form, rhythm=found, words=WORDS[kind], days=days,
        channels=channels, errors=errors, weekdays=list(enumerate(WEEKDAYS)),
        enabled=list(config.current().enabled_channels),
    )  # fmt: skip
    return page, 422 if form.is_submitted() else 200


def _details(form: RhythmForm, kind: RhythmKind, days: Sequence[str], channels: Sequence[str]) -> RhythmDetails:
    contents = []
    for channel, language in PLACES:
        body = form[f"{channel}_{language}_body"].data or ""
        subject = form[f"{channel}_{language}_subject"].data or "" if channel == ChannelName.EMAIL else ""
        if channel in channels and (body.strip() or subject.strip()):
            contents.append({"channel": str(channel), "language": language, "subject": subject, "body": body.strip()})
    return RhythmDetails(
        name=form.name.data, every=Every(form.every.data), local_time=form.local_time.data,
        channels=tuple(c for c in ChannelName if c in channels), contents=tuple(contents),
        days=tuple(int(day) for day in days if day in "0123456"), month_day=form.month_day.data,
        starts_on=form.starts_on.data, circle_id=UUID(form.circle_id.data) if form.circle_id.data else None, kind=kind,
    )  # fmt: skip
