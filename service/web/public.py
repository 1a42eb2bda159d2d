"""The pages for members and strangers, listed in one place; the addresses are part of mails and posters, so they stay.

What needs a signed link has it as `token`: those pages are stored nowhere.
"""

from uuid import UUID

from flask import Blueprint, g, render_template
from flask.typing import ResponseReturnValue

from service import clock, db, links
from service.actions import crisis
from service.actions.finding import matching
from service.errors import NotFound
from service.models.content import Story, StoryState
from service.web import (
    languages,
    public_circles,
    public_giving,
    public_held,
    public_join,
    public_mine,
    public_rooms,
    public_rsvp,
    public_settings,
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


@bp.get("/s/<token>")
def story(token: str) -> ResponseReturnValue:
    """A story on a page of its own, as long as its author agrees to one."""
    with db.reading() as session:
        found = session.get(Story, UUID(str(links.read("story", token)[0])))
    if found is None or not _may_be_read(found):
        raise NotFound("This story is resting. Its author may have asked for it back.")
    paragraphs = [part.strip() for part in found.body_email.replace("\r", "").split("\n\n") if part.strip()]
    return render_template("public/story.html", story=found, paragraphs=paragraphs)


def _may_be_read(story: Story) -> bool:
    ended = story.consent_until is not None and story.consent_until < clock.now().date()
    return story.state == StoryState.PUBLISHED and story.consent_page and not ended


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
    ("/p/<token>/tools", public_rooms.tools, ["GET", "POST"]),
    ("/p/<token>/give/<kind>", public_giving.give, ["GET", "POST"]),
    ("/u/<token>", public_settings.unsubscribe, ["GET", "POST"]),
    ("/rsvp/<token>", public_rsvp.rsvp, ["GET", "POST"]),
):
    bp.add_url_rule(_rule, view_func=_view, methods=_methods)

# RFC 8058: the mail provider posts without a cookie, so without a token; the signed address is the permission.
csrf.exempt(public_settings.unsubscribe)
