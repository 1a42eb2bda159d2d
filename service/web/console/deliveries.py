"""How sending stands: what waits and for how long, what did not arrive and what helps, what a person must decide."""

from datetime import timedelta
from uuid import UUID

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import clock, config, db
from service.actions.delivery import budget, overview, tally, unsettled
from service.channels.errors import remedy
from service.errors import Conflict, Invalid
from service.models.members import ChannelName
from service.web.auth import me, role
from service.web.console import campaign_words as words

FAILURES_FOR = timedelta(hours=24)
EVERY = 5
"""Seconds between two looks of an open page."""
QUEUES = {"replies": "Answers and replies", "texts": "Campaign texts", "emails": "Campaign emails"}
SENDERS = {"sms": "text", "email": "email"}
ENDS = {
    "failed": "refused", "unreachable": "can never be reached", "stopped": "have stopped at the provider",
    "configuration": "refused because of our settings", "undelivered": "did not arrive", "bounced": "came back",
    "complained": "marked as spam",
}  # fmt: skip
"""What became of them, as the end of "3 messages …"."""


@role("admin")
def deliveries() -> ResponseReturnValue:
    """The page; `deliveries_live` is its moving part."""
    return render_template("console/deliveries/index.html", **_now())


@role("admin")
def deliveries_live() -> ResponseReturnValue:
    """The moving part, for a page that renews itself."""
    response = make_response(render_template("console/deliveries/_live.html", **_now()))
    response.headers["Cache-Control"] = "no-store"
    return response


def _now() -> dict[str, object]:
    now = clock.now()
    with db.reading() as session:
        return {
            "now": now,
            "lines": overview.lines(session, now),
            "open_now": overview.open_now(session),
            "webhooks": overview.webhooks_waiting(session),
            "reasons": tally.reasons(session, now - FAILURES_FOR),
            "groups": unsettled.groups(session),
            "warnings": budget.warnings(session),
            "senders": overview.senders(),
            "mps": config.current().twilio_mps,
            "graces": config.current(),
            "words": words, "queues": QUEUES, "names": SENDERS, "ends": ENDS, "remedy": remedy, "every": EVERY,
        }  # fmt: skip


@role("admin")
def send_again() -> ResponseReturnValue:
    """Send what nobody knows about once more."""
    return _decide(again=True)


@role("admin")
def count_as_sent() -> ResponseReturnValue:
    """Take it as sent."""
    return _decide(again=False)


def _decide(*, again: bool) -> ResponseReturnValue:
    """Decide one group, named by `campaign` or `delivery` and `channel`. Raises Invalid."""
    campaign, delivery = request.form.get("campaign", type=UUID), request.form.get("delivery", type=int)
    channel = request.form.get("channel", type=ChannelName)
    if channel is None or (campaign is None) == (delivery is None):
        raise Invalid("Which messages? Open the page again and use one of its buttons.")
    act = unsettled.send_again if again else unsettled.count_as_sent
    try:
        count = act(channel, me().id, campaign_id=campaign, delivery_id=delivery)
    except Conflict as error:
        flash(error.message, "info")
    else:
        done = "will leave again, under every rule" if again else "counted as sent"
        flash(f"{words.count(count, 'message')} {done}.", "good")
    return redirect(url_for("settings.deliveries"))
