"""The pages for members and strangers, listed in one place; the addresses are part of mails and posters, so they stay.

What needs a signed link has it as `token`: those pages are stored nowhere.
"""

from flask import Blueprint, g, render_template
from flask.typing import ResponseReturnValue

from service import db
from service.actions import crisis
from service.actions.finding import matching
from service.web import (
    languages,
    public_circles,
    public_giving,
    public_held,
    public_join,
    public_me_too,
    public_mine,
    public_rooms,
    public_rsvp,
    public_settings,
    public_stories,
    public_vent,
)
from service.web.security import csrf

bp = Blueprint("public", __name__)


@bp.context_processor
def _crisis() -> dict[str, object]:
    """The lines that every page for members ends with: those of the member's country if a page knows it."""
    return {"crisis_lines": crisis.lines(g.get("country", ""), languages.language())}


@bp.get("/")
def home() -> ResponseReturnValue:
    """What this is, and the way in."""
    with db.reading() as session:
        some = bool(matching.open_circles(session))
    return render_template("public/home.html", circles=some)


@bp.get("/privacy")
def privacy() -> ResponseReturnValue:
    """What is kept, for how long, and who reads it."""
    return render_template("public/privacy.html")


@bp.get("/terms")
def terms() -> ResponseReturnValue:
    """What this is and is not."""
    return render_template("public/terms.html")


for _rule, _view, _methods in (
    ("/circles", public_circles.circles, ["GET"]),
    ("/circles/find", public_circles.find, ["GET"]),
    ("/circles/<slug>", public_circles.circle, ["GET"]),
    ("/my/<token>", public_mine.mine, ["GET", "POST"]),
    ("/join", public_join.join, ["GET", "POST"]),
    ("/join/thanks", public_join.thanks, ["GET"]),
    ("/c/<token>", public_join.confirm, ["GET", "POST"]),
    ("/p/<token>", public_settings.preferences, ["GET", "POST"]),
    ("/p/<token>/held", public_held.held, ["GET", "POST"]),
    ("/p/<token>/checkin", public_rooms.check_in, ["GET", "POST"]),
    ("/p/<token>/given", public_rooms.given, ["GET"]),
    ("/p/<token>/tools", public_rooms.tools, ["GET", "POST"]),
    ("/p/<token>/vent", public_vent.vent, ["GET", "POST"]),
    ("/p/<token>/give/<kind>", public_giving.give, ["GET", "POST"]),
    ("/p/<token>/give/<kind>/<uuid:gift_id>/back", public_giving.take_back, ["POST"]),
    ("/too/<token>", public_me_too.me_too, ["GET", "POST"]),
    ("/u/<token>", public_settings.unsubscribe, ["GET", "POST"]),
    ("/rsvp/<token>", public_rsvp.rsvp, ["GET", "POST"]),
):
    bp.add_url_rule(_rule, view_func=_view, methods=_methods)

for _rule, _endpoint, _shown, _methods in (
    ("/s/<token>", "story", public_stories.story, ["GET"]),
    ("/a/<token>", "approve", public_stories.approve, ["GET", "POST"]),
    ("/p/<token>/stories", "my_stories", public_stories.mine, ["GET", "POST"]),
):
    bp.add_url_rule(_rule, _endpoint, view_func=_shown, methods=_methods)

# RFC 8058: the mail provider posts without a cookie, so without a token; the signed address is the permission.
csrf.exempt(public_settings.unsubscribe)
