"""Settings: who comes in, and what this installation is set to. The rota is in `rota`, the rest in `settings_more`."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import EmailField, SelectField, SelectMultipleField, StringField, TelField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from service import db
from service.actions import team
from service.errors import Conflict, Invalid
from service.models.staff import Coordinator, Role
from service.web.auth import me, role, signed_in
from service.web.console import budgets, deliveries, rota, settings_more
from service.web.forms import HearthForm, put_error

bp = Blueprint("settings", __name__, url_prefix="/console/settings")

ROLES = {
    "admin": ("Administrator", "everything, and who comes in"),
    "safeguarding": ("Safeguarding", "everything but who comes in; is paged when nobody answers"),
    "coordinator": ("Coordinator", "members, inbox, campaigns, sessions and stories"),
    "circle_coordinator": ("Circle coordinator", "their own circles, with masked numbers and addresses, no export"),
}
TABS = (
    ("settings.index", "People", None),
    ("settings.rota", "Rota", None),
    ("settings.replies", "Replies", None),
    ("settings.organisation", "Organisation", None),
    ("settings.providers", "Providers", ("admin", "safeguarding")),
    ("settings.deliveries", "Deliveries", ("admin",)),
    ("settings.budgets", "Budgets", ("admin",)),
    ("settings.trail", "Audit trail", ("admin", "safeguarding")),
)


class InviteForm(HearthForm):
    """Somebody new."""

    email = EmailField("Email", [InputRequired("Type their email address."), Length(max=254)])
    name = StringField("Name", [InputRequired("Tell the others what to call them."), Length(max=80)])
    role = SelectField("Role", choices=[(key, f"{label}: {what}") for key, (label, what) in ROLES.items()])


class PersonForm(HearthForm):
    """What an administrator decides about a coordinator."""

    name = StringField("Name", [InputRequired("Tell the others what to call them."), Length(max=80)])
    role = SelectField("Role", choices=[(key, f"{label}: {what}") for key, (label, what) in ROLES.items()])
    phone = TelField("Number for pages", [Length(max=40)])
    circles = SelectMultipleField(
        "Circles they look after", option_widget=CheckboxInput(), widget=ListWidget(prefix_label=False)
    )


@bp.context_processor
def _tabs() -> dict[str, object]:
    shown = [(label, url_for(endpoint), request.endpoint == endpoint, None) for endpoint, label, roles in TABS
             if roles is None or me().role in roles]  # fmt: skip
    return {"settings_tabs": shown, "ROLES": ROLES, "is_admin": me().role == Role.ADMIN}


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Who comes in."""
    return _people(InviteForm(formdata=None, role="coordinator"))


def _people(form: InviteForm, status: int = 200) -> ResponseReturnValue:
    with db.reading() as session:
        people = team.people(session)
    return render_template("console/settings/people.html", people=people, form=form), status


@bp.post("/people")
@role("admin")
def invite() -> ResponseReturnValue:
    """Add somebody, and show their one-time link, once."""
    form = InviteForm()
    if form.validate_on_submit():
        try:
            link = team.invite(form.email.data, form.name.data, Role(form.role.data), me())
        except Invalid as error:
            put_error(form, error)
        else:
            return _link(form.name.data, link)
    return _people(form, 422)


@bp.post("/people/<uuid:person_id>/link")
@role("admin")
def new_link(person_id: UUID) -> ResponseReturnValue:
    """A fresh one-time link for somebody whose password is lost, or who comes back."""
    link = team.new_link(person_id, me())
    with db.reading() as session:
        return _link(team.require(session, person_id).name, link)


def _link(name: str, link: str) -> ResponseReturnValue:
    """Answered at once and stored nowhere, not even in the cookie: whoever has the link is that person."""
    return render_template("console/settings/link.html", name=name, link=link)


@bp.route("/people/<uuid:person_id>", methods=["GET", "POST"])
@role("admin")
def person(person_id: UUID) -> ResponseReturnValue:
    """One coordinator: role, number for pages, circles, and the end of their way in."""
    with db.reading() as session:
        found = team.require(session, person_id)
        circles = [(str(c.id), c.name) for c in team.every_circle(session)]
        given = [str(i) for i in team.circles_of(session, person_id)]
    form = PersonForm(data=None if request.method == "POST" else _typed(found, given))
    form.circles.choices = circles
    if form.validate_on_submit():
        try:
            team.change(
                person_id,
                me(),
                name=form.name.data,
                role=Role(form.role.data),
                phone=form.phone.data or "",
                circles=[UUID(i) for i in form.circles.data],
            )
        except (Invalid, Conflict) as error:
            put_error(form, error)
        else:
            flash("Saved.", "good")
            return redirect(url_for("settings.index"))
    page = render_template("console/settings/person.html", form=form, person=found)
    return page, 422 if form.is_submitted() else 200


def _typed(found: Coordinator, given: list[str]) -> dict[str, object]:
    return {"name": found.name, "role": found.role.value, "phone": found.phone or "", "circles": given}


@bp.post("/people/<uuid:person_id>/deactivate")
@role("admin")
def deactivate(person_id: UUID) -> ResponseReturnValue:
    """End somebody's way in, everywhere and at once."""
    try:
        team.deactivate(person_id, me())
    except Conflict as error:
        flash(error.message, "warn")
        return redirect(url_for("settings.person", person_id=person_id))
    flash("They can no longer sign in, and their coming shifts are off the rota.", "good")
    return redirect(url_for("settings.index"))


for _rule, _view, _methods in (
    ("/rota", rota.rota, ["GET"]),
    ("/rota/add", rota.add, ["POST"]),
    ("/rota/<uuid:shift_id>/remove", rota.remove, ["POST"]),
    ("/replies", settings_more.replies, ["GET"]),
    ("/replies/new", settings_more.new_reply, ["GET", "POST"]),
    ("/replies/<uuid:reply_id>", settings_more.edit_reply, ["GET", "POST"]),
    ("/replies/<uuid:reply_id>/delete", settings_more.delete_reply, ["POST"]),
    ("/organisation", settings_more.organisation, ["GET"]),
    ("/providers", settings_more.providers, ["GET"]),
    ("/audit", settings_more.trail, ["GET"]),
    ("/deliveries", deliveries.deliveries, ["GET"]),
    ("/deliveries/live", deliveries.deliveries_live, ["GET"]),
    ("/deliveries/again", deliveries.send_again, ["POST"]),
    ("/deliveries/sent", deliveries.count_as_sent, ["POST"]),
    ("/budgets", budgets.budgets, ["GET"]),
    ("/budgets", budgets.set_budget, ["POST"]),
):
    bp.add_url_rule(_rule, view_func=_view, methods=_methods)
