"""A member's own settings behind a signed link, and the way out of a single mail."""

from datetime import date
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import config, links
from service.actions import member_links, times
from service.actions import preferences as actions
from service.errors import DomainError, Invalid, Malformed
from service.models.members import ChannelName, Topic
from service.web import public_giving, public_words
from service.web.languages import gettext as _
from service.web.public_holder import holder_of, speak_to

CAPS = (1, 2, 3, 5, 7, 0)
STEP = 30
"""Minutes between the times that can be chosen for quiet hours."""


def preferences(token: str) -> ResponseReturnValue:
    """Topics, breaks, how often, when, and leaving in one tap."""
    member_id, channel = holder_of(token)
    view = speak_to(member_id)
    if request.method == "GET":
        return _page(token, view, {}, 200)
    try:
        said = _DO.get(request.form.get("do", ""), _save)(view, channel)
    except DomainError as error:
        if error.status not in (409, 422):
            raise
        return _page(token, view, {error.field or "": public_words.said(error)}, error.status)
    for sentence in said:
        flash(sentence, "good")
    return redirect(url_for("public.preferences", token=token))


def unsubscribe(token: str) -> ResponseReturnValue:
    """One button out of one topic on one channel; a mail provider presses it by itself (RFC 8058)."""
    member_hex, channel_name, topic_name = links.read("unsubscribe", token)
    member_id, channel = UUID(member_hex), ChannelName(channel_name)
    topic = Topic(topic_name) if topic_name else None
    one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if request.method == "GET":
        speak_to(member_id)
        return _out(topic, channel, token, "ask")
    scope = request.form.get("scope", "topic")
    if one_click:
        actions.unsubscribe(member_id, channel, topic, source="one-click unsubscribe")
        return "", 200
    speak_to(member_id)
    if scope == "undo" and topic is not None:
        actions.undo_unsubscribe(member_id, channel, topic, source="unsubscribe page: undone")
        return _out(topic, channel, token, "undone")
    actions.unsubscribe(member_id, channel, None if scope == "channel" else topic, source="unsubscribe page")
    return _out(None if scope == "channel" else topic, channel, token, "done")


def _page(token: str, view: actions.View, errors: dict[str, str], status: int) -> ResponseReturnValue:
    settings = config.current()
    page = render_template(
        "public/preferences.html",
        token=token,
        view=view,
        errors=errors,
        form=request.form,
        channels=[a for a in view.addresses if a.channel in settings.enabled_channels],
        topics=public_words.topics(),
        caps=[(str(n), public_words.often(n)) for n in sorted({*CAPS, view.weekly_cap}, key=lambda n: n or 99)],
        minutes=_minutes(view),
        time_zones=[(view.time_zone, public_words.zone_label(view.time_zone)), *public_words.time_zones()],
        paused_day=times.day(view.paused_until, view.time_zone, view.locale) if view.paused_until else "",
        number=settings.twilio_from,
        gifts=public_giving.names(),
        circles_url=member_links.circles_url(view.member_id, holder_of(token)[1]),
    )
    return page, status


def _minutes(view: actions.View) -> list[tuple[str, str]]:
    every = sorted({*range(0, 24 * 60 + 1, STEP), *view.window})
    return [(str(m), public_words.clock_of(m, view.locale) if m < 24 * 60 else _("midnight")) for m in every]


def _save(view: actions.View, channel: ChannelName) -> list[str]:
    form = request.form
    try:
        on = frozenset((Topic(t), ChannelName(c)) for t, _colon, c in (v.partition(":") for v in form.getlist("on")))
        window = (int(form["window_from"]), int(form["window_to"]))
        cap = int(form["weekly_cap"])
    except (ValueError, KeyError):
        raise Malformed("We could not read what was sent. Go back and try once more.") from None
    changes = actions.Changes(
        on=on,
        weekly_cap=cap,
        window=window,
        time_zone=form.get("time_zone") or None,
        language=form.get("language"),
        discreet="discreet" in form,
        news="news" in form if "news_shown" in form else None,
        notes="notes" in form,
        channel=form.get("channel"),
        left_out=frozenset(form.getlist("left_out")) if "left_out_shown" in form else None,
    )
    lines = actions.save(view.member_id, changes, link_channel=channel)
    return public_words.done(lines, view.locale) or [_("Nothing was changed.")]


def _pause(view: actions.View, channel: ChannelName) -> list[str]:
    choice, day = request.form.get("pause", ""), request.form.get("pause_until", "")
    if choice == "day" and not day:
        raise Invalid("Choose a day that is still to come.", field="pause_until")
    try:
        chosen = date.fromisoformat(day) if choice == "day" else None
    except ValueError:
        raise Invalid("Type the day like 2027-01-31.", field="pause_until") from None
    until = actions.pause(view.member_id, choice, chosen, link_channel=channel)
    return [_("You are taking a break until %(day)s. You don't need to do anything then.") % {
        "day": times.day(until, view.time_zone, view.locale)
    }]  # fmt: skip


def _resume(view: actions.View, channel: ChannelName) -> list[str]:
    actions.resume(view.member_id, link_channel=channel)
    return [_("Welcome back. Messages come again from now on.")]


def _leave(view: actions.View, channel: ChannelName) -> list[str]:
    actions.leave(view.member_id, link_channel=channel)
    return [_("Done. Nothing more will come. Thank you for having been here.")]


_DO = {"save": _save, "pause": _pause, "resume": _resume, "leave": _leave}


def _out(topic: Topic | None, channel: ChannelName, token: str, stage: str) -> ResponseReturnValue:
    return render_template(
        "public/unsubscribe.html",
        token=token,
        stage=stage,
        topic=public_words.topic_name(topic) if topic else "",
        channel=public_words.channel_name(channel),
    )
