"""What texts may cost in a month, by country: how much is used, and the limits that an administrator sets."""

from decimal import Decimal

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import DecimalField, StringField
from wtforms.validators import InputRequired, Length, Optional

from service import clock, config, db
from service.actions.delivery import budget
from service.channels.segments import PRICES_AS_OF
from service.errors import Invalid
from service.web.auth import me, role
from service.web.forms import HearthForm, put_error


class BudgetForm(HearthForm):
    """One country's limit; nothing typed takes it away."""

    country = StringField("Country", [InputRequired("Two letters, such as US or GB."), Length(2, 2, "Two letters.")])
    dollars = DecimalField("US dollars a month", [Optional()], places=2)


@role("admin")
def budgets() -> ResponseReturnValue:
    """The countries and how their month stands."""
    return _page(BudgetForm(formdata=None, country=config.current().default_country))


@role("admin")
def set_budget() -> ResponseReturnValue:
    """Set or take away one limit."""
    form = BudgetForm()
    if form.validate():
        amount: Decimal | None = form.dollars.data
        try:
            budget.set_budget(form.country.data, amount, me().id)
        except Invalid as error:
            put_error(form, error)
        else:
            country = form.country.data.upper()
            flash(f"{country} may cost ${amount:,.2f} a month." if amount is not None else
                  f"There is no limit for {country} any more.", "good")  # fmt: skip
            return redirect(url_for("settings.budgets"))
    return _page(form), 422


def _page(form: BudgetForm) -> str:
    settings = config.current()
    with db.reading() as session:
        return render_template(
            "console/deliveries/budgets.html", form=form, standings=budget.standings(session), now=clock.now(),
            prices_as_of=PRICES_AS_OF, per_day=[("texts", settings.twilio_per_day, "TWILIO_PER_DAY"),
                                                ("emails", settings.sendgrid_per_day, "SENDGRID_PER_DAY")],
        )  # fmt: skip
