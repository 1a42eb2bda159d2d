"""Joining by page, and the button behind the link that confirms an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from flask import g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from service import config
from service.actions import consent_wording, contacts, member_links, members
from service.errors import Invalid, TooMany
from service.models.members import ChannelName, Topic
from service.web import languages, public_circles, public_words
from service.web.limits import client_network


@dataclass(frozen=True)
class Shown:
    """One text to agree to; it counts, and is seen, for the numbers of its country."""

    country: str
    wording: consent_wording.Wording
    hidden: bool


def join() -> ResponseReturnValue:
    """The form; a success leads to the same page for everybody."""
    if request.method == "GET":
        return _form(_defaults(), {}, 200)
    try:
        result = members.join(_request_of(request.form))
    except members.NotValid as problem:
        errors = {e.field or "": public_words.said(e) for e in reversed(problem.errors)}
        return _form(request.form, errors, 422)
    except TooMany as refused:
        return _form(request.form, {"": public_words.said(refused)}, refused.status)
    return redirect(url_for("public.thanks", by=",".join(result.channels)))


def thanks() -> ResponseReturnValue:
    """Where to look now. It says nothing about whether an address is known."""
    by = [ChannelName(c) for c in request.args.get("by", "").split(",") if c in list(ChannelName)]
    return render_template("public/thanks.html", by=by, number=config.current().twilio_from)


def confirm(token: str) -> ResponseReturnValue:
    """The button behind the link in a mail; the page that thanks is the same address, so that it can be reloaded."""
    if request.method == "POST":
        members.confirm_by_link(token, request.remote_addr)
        return redirect(url_for("public.confirm", token=token))
    found = members.confirmation(token)
    languages.prefer(found.locale)
    settings = member_links.preferences_url(found.member_id, found.channel)
    return render_template("public/confirm.html", found=found, token=token, settings_url=settings)


def _request_of(form: Mapping[str, str]) -> members.JoinRequest:
    several: MultiDict[str, str] = request.form
    return members.JoinRequest(
        first_name=form.get("first_name", ""),
        phone=form.get("phone", ""),
        email=form.get("email", ""),
        topics=tuple(t for t in Topic if t in several.getlist("topics")),
        circle_id=_circle_id(form.get("circle", ""), form.get("code", "")),
        invite_code=form.get("code", ""),
        time_zone=form.get("time_zone", ""),
        language=form.get("language", "en"),
        country=form.get("country", ""),
        adult="adult" in form,
        agreed="agree" in form,
        discreet="discreet" in form,
        wordings=tuple(several.getlist("wording")),
        ip=request.remote_addr,
        network=client_network(),
        trap=form.get("website", ""),
    )


def _circle_id(slug: str, code: str) -> UUID | None:
    return next((s.circle.id for s in public_circles.choosable(slug, code) if s.circle.slug == slug), None)


def _defaults() -> MultiDict[str, str]:
    values: MultiDict[str, str] = MultiDict()
    values.setlist("topics", [t.value for t in Topic])
    values["country"] = config.current().default_country
    values["language"] = languages.language()
    values["circle"] = request.args.get("circle", "")
    values["code"] = request.args.get("code", "")
    return values


def _form(values: MultiDict[str, str], errors: Mapping[str, str], status: int) -> ResponseReturnValue:
    circles = public_circles.choosable(values.get("circle", ""), values.get("code", ""))
    g.private = True  # what was typed is not kept by the browser of a shared computer
    page = render_template(
        "public/join.html",
        values=values,
        chosen=values.getlist("topics"),
        errors=errors,
        topics=public_words.topics(),
        countries=public_words.countries(),
        time_zones=public_words.time_zones(),
        circles=circles,
        room=public_circles.room_words,
        wordings=_wordings(values),
        by_text="sms" in config.current().enabled_channels,
        by_email="email" in config.current().enabled_channels,
    )
    return page, status


def _wordings(values: Mapping[str, str]) -> list[Shown]:
    """The words for every country that we text, of which one is shown, and those for email."""
    settings, language = config.current(), languages.language()
    chosen = _country_of(values) if values.get("phone") else values.get("country", "")
    shown = chosen if chosen in settings.countries else settings.default_country
    found = []
    if "sms" in settings.enabled_channels:
        for country in settings.countries:
            words = consent_wording.wording(ChannelName.SMS, country, language)
            found.append(Shown(country, words, hidden=country != shown))
    if "email" in settings.enabled_channels:
        found.append(Shown("", consent_wording.wording(ChannelName.EMAIL, "", language), hidden=False))
    return found


def _country_of(values: Mapping[str, str]) -> str:
    try:
        return contacts.country_of(contacts.phone(values["phone"], values.get("country", "")))
    except Invalid:
        return values.get("country", "")
