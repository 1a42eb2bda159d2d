"""What is done to one member from their page: every act has a page of its own that says what will happen first."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.actions import directory, member_card, member_desk, members, zones
from service.actions.details import Details
from service.db import reading
from service.errors import Conflict, DomainError, Invalid, NotFound
from service.models.members import ChannelName, Member, Topic
from service.web.auth import me
from service.web.console import member_forms as forms
from service.web.console.member_words import CHANNELS, TOPICS
from service.web.forms import HearthForm, put_error
from service.web.times import day


def edit(member_id: UUID) -> ResponseReturnValue:
    """Correct details. A new number or address has to be confirmed like any other."""
    member = _member(member_id)
    form = forms.EditMember()
    form.offer(member)
    if not form.is_submitted():
        form.fill(member)
    if form.validate_on_submit():
        try:
            changed = members.update_details(member_id, me().id, **_details(form, member))
        except (Invalid, Conflict) as error:
            put_error(form, error)
        else:
            flash("Saved." if changed else "Nothing was different.", "good")
            return _back(member_id)
    page = render_template("console/members/edit.html", form=form, member=member)
    return page, 422 if form.is_submitted() else 200


def _details(form: forms.EditMember, member: Member) -> Details:
    language, country = form.locale.data, form.country.data
    locale = member.locale if language == member.language else f"{language}-{country}".rstrip("-")
    details = Details(
        first_name=form.first_name.data or member.first_name,
        locale=locale,
        country=country,
        discreet=form.discreet.data,
        loss_on=_date(form.loss_on.data, "loss_on"),
        phone=form.phone.data or "",
        email=form.email.data or "",
    )
    if form.time_zone.data != member.time_zone:
        details["time_zone"] = form.time_zone.data
    return details


def stop(member_id: UUID) -> ResponseReturnValue:
    """They told us to stop."""
    member = _member(member_id)
    form = forms.Stop()

    def act() -> str:
        scope = form.scope.data
        topics = [Topic(t) for t in form.topics.data or []]
        if scope == "topics" and not topics:
            raise Invalid("Choose the topics.", field="topics")
        channel = ChannelName(scope) if scope in set(ChannelName) else None
        member_desk.stop(me(), member_id, form.how.data, channel=channel, topics=topics if scope == "topics" else ())
        return "It is entered, and counts from this moment."

    return _page(
        form,
        member,
        act,
        title="They told us to stop",
        lead=f"A stop that {_name(member)} told somebody counts like one that was written.",
        points=[
            "It takes effect at once, also for what is about to leave.",
            "After a stop of everything, only START or JOIN from their own phone or mailbox brings it back.",
            "Single topics they can switch on again on their settings page.",
        ],
        button="Stop",
    )


def pause(member_id: UUID) -> ResponseReturnValue:
    """A break, until a day."""
    member = _member(member_id)
    form = forms.Pause()

    def act() -> str:
        until = _date(form.pause_until.data, "pause_until")
        if until is None:
            raise Invalid("Choose a day.", field="pause_until")
        moment = zones.local_moment(member.time_zone or "UTC", f"{until}T00:00")
        found = member_desk.pause(me(), member_id, moment)
        return f"Nothing goes out by itself before {day(found, member.time_zone or 'UTC')}."

    return _page(
        form,
        member,
        act,
        title="Take a break",
        lead=f"Nothing goes to {_name(member)} by itself until the day that you choose; at most a year.",
        points=["Answers to what they write still reach them."],
        button="Begin the break",
        fields={"pause_until": {"type": "date"}},
    )


def undo_stop(member_id: UUID) -> ResponseReturnValue:
    """Take back a stop that was none."""
    card = member_card.card(me(), member_id)
    if not card.stopped_channels:
        raise NotFound("There is no stop of everything to take back.")
    form = forms.UndoStop()
    form.channel.choices = [(c.value, CHANNELS[c]) for c in card.stopped_channels]

    def act() -> str:
        back = member_desk.undo_stop(me(), member_id, ChannelName(form.channel.data), form.why.data)
        names = ", ".join(TOPICS[t].lower() for t in back)
        return f"On again: {names}." if names else "The mark is gone. No topic was on before, so none is on now."

    return _page(
        form,
        card.member,
        act,
        title="It was not a request to stop",
        lead="For words that were read wrongly. If they did mean it, leave it: they can write START themselves.",
        points=["Your reason and your name stay in their record.", "What had never been confirmed waits again."],
        button="Take the stop back",
    )


def died(member_id: UUID) -> ResponseReturnValue:
    """Somebody has died."""
    member = _member(member_id)

    def act() -> str:
        member_desk.mark_died(me(), member_id)
        return "It is noted, and everything has stopped. Thank you for taking care of this."

    return _page(
        HearthForm(),
        member,
        act,
        title=f"{_name(member)} has died",
        lead="We are sorry.",
        points=[
            "Every message stops at once, and nothing can start it again: relatives may hold the phone.",
            "Their stories rest.",
            "Messages to their circles wait until somebody has looked at them.",
        ],
        button="Note it and stop everything",
    )


def erase(member_id: UUID) -> ResponseReturnValue:
    """Forget a person."""
    member = _member(member_id)
    form = forms.Erase()

    def act() -> str:
        member_desk.erase(me(), member_id, form.typed.data)
        return "Erased. What is left names nobody."

    return _page(
        form,
        member,
        act,
        title=f"Erase {_name(member)}",
        lead="This cannot be taken back.",
        points=[
            "Name, number, address, conversation, check-ins and stories go.",
            "What stays: when they agreed and when they stopped, without a name, and a mark that keeps us from ever "
            "writing to this number or address again.",
        ],
        button="Erase for good",
    )


def resume(member_id: UUID) -> ResponseReturnValue:
    """End a break."""
    flash("The break is over." if member_desk.resume(me(), member_id) else "There was no break.", "good")
    return _back(member_id)


def phone_is_theirs(member_id: UUID) -> ResponseReturnValue:
    """A person knows that the number is still the member's."""
    try:
        member_desk.phone_is_theirs(me(), member_id)
    except Conflict as error:
        flash(error.message, "warn")
    else:
        flash("Noted. What waited for their answer leaves now.", "good")
    return _back(member_id)


def circle_add(member_id: UUID) -> ResponseReturnValue:
    """Give a place in a circle."""
    try:
        new = member_desk.add_to_circle(me(), member_id, _circle())
    except Conflict as error:
        flash(error.message, "warn")
    else:
        flash("They have a place in this circle." if new else "They were in this circle already.", "good")
    return _back(member_id)


def circle_leave(member_id: UUID) -> ResponseReturnValue:
    """Take out of a circle."""
    member_desk.leave_circle(me(), member_id, _circle())
    flash("They have left the circle. Their messages stay as they were.", "good")
    return _back(member_id)


def _page(
    form: HearthForm,
    member: Member,
    act: Any,
    *,
    title: str,
    lead: str,
    points: list[str],
    button: str,
    fields: dict[str, dict[str, str]] | None = None,
) -> ResponseReturnValue:
    if form.validate_on_submit():
        try:
            said = act()
        except (Invalid, Conflict) as error:
            put_error(form, error)
        else:
            flash(said, "good")
            return _back(member.id)
    page = render_template(
        "console/members/act.html",
        form=form,
        member=member,
        title=title,
        lead=lead,
        points=points,
        button=button,
        fields=fields or {},
    )
    return page, 422 if form.is_submitted() else 200


def _member(member_id: UUID) -> Member:
    with reading() as session:
        member = directory.require(session, me(), member_id)
        assert member.addresses is not None  # loaded while there is a session
        return member


def _back(member_id: UUID) -> ResponseReturnValue:
    """To the member's page, or to the list for one whom this coordinator no longer sees."""
    try:
        member_desk.check(me(), member_id)
    except DomainError:
        return redirect(url_for("members.index"))
    return redirect(url_for("members.show", member_id=member_id))


def _circle() -> UUID:
    circle_id = request.form.get("circle_id", type=UUID)
    if circle_id is None:
        raise NotFound("Choose a circle.")
    return circle_id


def _date(text: str | None, named: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("Write the day like 2026-03-31.", field=named) from None


def _name(member: Member) -> str:
    return member.first_name or "this member"
