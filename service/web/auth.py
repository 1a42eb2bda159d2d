"""Who is signed in: the door to the console, and everybody's own page with the sessions that they can end.

The cookie carries a random token; the session itself is a row, so that ending it works at once and everywhere.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import available_timezones

from flask import Blueprint, Flask, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, EmailField, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from service.actions import staff
from service.errors import DomainError, Forbidden, Invalid, NotSignedIn
from service.models.staff import Coordinator, Role
from service.web import shell
from service.web.forms import HearthForm, put_error
from service.web.limits import client_network, keyed, limiter

P = ParamSpec("P")
R = TypeVar("R")

bp = Blueprint("auth", __name__, url_prefix="/console")


class SignIn(HearthForm):
    """The door."""

    email = EmailField("Email", [InputRequired("Type your email address."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Type your password."), Length(max=staff.PASSWORD_MAX)])


class NewPassword(HearthForm):
    """A password, once, from a link. Seen twice by the browser's own keeper, so it is not typed twice."""

    password = PasswordField("New password", [InputRequired("Choose a password.")])
    time_zone = StringField("Time zone")


class Account(HearthForm):
    """What a coordinator decides about themselves."""

    name = StringField("Name", [InputRequired("Tell the others what to call you."), Length(max=80)])
    time_zone = SelectField("Time zone", choices=lambda: sorted(available_timezones()))
    shortcuts = BooleanField("Keyboard shortcuts (press ? on any page for the list)")


class ConfirmPassword(HearthForm):
    """Asked before a password is changed: a screen may have been left open."""

    current = PasswordField("Your password now", [InputRequired("Type the password that you use now.")])


def init_app(app: Flask) -> None:
    """Know on every request who is there: `g.me`, or None."""
    app.before_request(_load)


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Let only signed-in coordinators in; anybody else is shown the door, and then brought back."""

    @wraps(view)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        me()
        return view(*args, **kwargs)

    return inner


def role(*roles: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only these roles in: `@role("admin", "safeguarding")`. Raises Forbidden for the others."""
    allowed = frozenset(Role(name) for name in roles)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            if me().role not in allowed:
                raise Forbidden("Your role here does not include this. An administrator can change that.")
            return view(*args, **kwargs)

        return inner

    return decorate


def me() -> Coordinator:
    """The signed-in coordinator. Raises NotSignedIn."""
    person: Coordinator | None = g.get("me")
    if person is None:
        raise NotSignedIn("You are signed out. Sign in in another tab, then send this again.")
    return person


def local_path(target: str | None) -> str | None:
    """`target` if it is a path on this service, else None: a link may not send people elsewhere after signing in."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    if any(ord(sign) < 33 or sign == "\\" for sign in target):  # browsers drop tabs and newlines, and turn \ into /
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


@bp.get("/", strict_slashes=False)
def door() -> ResponseReturnValue:
    """The console's own address, as the terminal and people say it: on to what needs a person today."""
    return redirect(shell.home())


def _load() -> None:
    g.me = None
    if request.endpoint in ("static", "vendor.file") or "staff" not in session:
        return
    # A page that renews its live parts by itself is not somebody being there: only other requests count as use.
    used = request.method != "GET" or "HX-Request" not in request.headers
    if found := staff.resume_session(session["staff"], used=used):
        g.staff_session, g.me = found
    else:
        session.pop("staff", None)


def _account() -> str:
    return keyed("account", request.form.get("email", ""))


def _account_here() -> str:
    return f"{client_network()}:{_account()}"


def _refused(response: object) -> bool:
    return getattr(response, "status_code", 0) != 302


@bp.route("/sign-in", methods=["GET", "POST"])
@limiter.limit("30 per 15 minutes", methods=["POST"], deduct_when=_refused)
@limiter.limit("10 per 15 minutes", key_func=_account_here, methods=["POST"], deduct_when=_refused)
@limiter.limit("60 per hour", key_func=_account, methods=["POST"], deduct_when=_refused)
def sign_in() -> ResponseReturnValue:
    """The door. Few tries per person and place, more per account: nobody can lock another out for long."""
    g.private = True
    target = local_path(request.args.get("next"))
    if g.me is not None:
        return redirect(target or shell.home())
    form = SignIn()
    if form.validate_on_submit():
        try:
            person = staff.authenticate(form.email.data, form.password.data)
        except Invalid as error:
            put_error(form, error)
        else:
            _enter(person)
            return redirect(target or shell.home())
    return render_template("console/sign_in.html", form=form), 422 if form.is_submitted() else 200


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this session. Works for somebody whose session is over already."""
    if g.me is not None:
        staff.end_session(g.me.id, g.staff_session.id)
    session.clear()
    flash("You are signed out. Take care.", "good")
    return redirect(url_for("auth.sign_in"))


@bp.route("/password/<token>", methods=["GET", "POST"])
@limiter.limit("30 per 15 minutes", methods=["POST"])
def set_password(token: str) -> ResponseReturnValue:
    """Set a password from a one-time link, and be signed in."""
    person = staff.read_password_link(token)
    form = NewPassword()
    if form.validate_on_submit():
        try:
            person = staff.set_password(token, form.password.data)
        except Invalid as error:
            put_error(form, error)
        else:
            if person.time_zone == "UTC" and form.time_zone.data in available_timezones():
                staff.update_account(
                    person.id, name=person.name, time_zone=form.time_zone.data, shortcuts=person.shortcuts
                )
            _enter(person)
            flash("Your password is set. Welcome.", "good")
            return redirect(shell.home())
    page = render_template("console/set_password.html", form=form, person=person, minimum=staff.PASSWORD_MIN)
    return page, 422 if form.is_submitted() else 200


@bp.route("/you", methods=["GET", "POST"])
@signed_in
def account() -> ResponseReturnValue:
    """Name, time zone, shortcuts, password, and where one is signed in."""
    form = Account(obj=me())
    if form.validate_on_submit():
        try:
            staff.update_account(
                me().id, name=form.name.data, time_zone=form.time_zone.data, shortcuts=form.shortcuts.data
            )
        except Invalid as error:
            put_error(form, error)
        else:
            flash("Saved.", "good")
            return redirect(url_for("auth.account"))
    return _account_page(form, ConfirmPassword(formdata=None), 422 if form.is_submitted() else 200)


@bp.post("/you/password")
@signed_in
@limiter.limit("10 per 15 minutes", key_func=lambda: f"password:{me().id}", deduct_when=_refused)
def change_password() -> ResponseReturnValue:
    """Lead somebody who knows the present password to the page that sets a new one."""
    form = ConfirmPassword()
    if form.validate_on_submit():
        try:
            person = staff.authenticate(me().email, form.current.data)
        except DomainError:
            put_error(form, Invalid("That is not your present password.", field="current"))
        else:
            return redirect(urlsplit(staff.password_link(person)).path)
    return _account_page(Account(formdata=None, obj=me()), form, 422)


@bp.post("/you/sessions/<uuid:session_id>/end")
@signed_in
def end_session(session_id: UUID) -> ResponseReturnValue:
    """End one of one's own sessions."""
    staff.end_session(me().id, session_id)
    flash("That session has ended.", "good")
    return redirect(url_for("auth.account"))


@bp.post("/you/sessions/end-others")
@signed_in
def end_other_sessions() -> ResponseReturnValue:
    """End every session but this one."""
    count = staff.end_other_sessions(me().id, g.staff_session.id)
    flash(f"{count} other {'session has' if count == 1 else 'sessions have'} ended.", "good")
    return redirect(url_for("auth.account"))


def _account_page(form: Account, password: ConfirmPassword, status: int) -> ResponseReturnValue:
    sessions = staff.live_sessions(me().id)
    page = render_template(
        "console/account.html", form=form, password=password, sessions=sessions, this=g.staff_session.id
    )
    return page, status


def _enter(person: Coordinator) -> None:
    """Begin a session in a clean cookie. Only the form token goes on, so that a page that was left open
    while the session ended can still be sent, with what was typed on it, after signing in in another tab.
    """
    form_token = session.get("csrf_token")
    token = staff.start_session(person.id, request.user_agent.string)
    session.clear()
    session["staff"] = token
    if form_token:
        session["csrf_token"] = form_token
    session.permanent = True
