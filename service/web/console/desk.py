"""The desk: one queue of what members passed on, and the page on which a person decides about one of them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from service import db
from service.actions import access, outbox, story_checks
from service.actions.giving import deciding, desk, differences
from service.actions.giving.gifts import OPEN
from service.actions.giving.kinds import KINDS
from service.errors import Conflict, DomainError, Invalid
from service.models.gatherings import Circle
from service.models.giving import Gift, GiftState, Giving
from service.models.members import Member
from service.models.staff import Coordinator
from service.web.auth import me, signed_in

bp = Blueprint("desk", __name__, url_prefix="/console/desk")

NAMES = {
    Giving.STORY: "A hope story",
    Giving.NOTE: "A note for somebody",
    Giving.STEP: "A small step",
    Giving.SAID: "How somebody said it",
    Giving.FEELING: "A feeling to share",
}
TABS = {
    Giving.STORY: "Stories", Giving.NOTE: "Notes", Giving.STEP: "Steps", Giving.SAID: "Sentences",
    Giving.FEELING: "Feelings",
}  # fmt: skip
STATES = {"review": "waits for a person", "asked": "waits for its author", "approved": "approved",
          "declined": "declined", "taken_back": "taken back by its author"}  # fmt: skip
STORY = "stories.show"
"""The page of a story: it has two bodies, and its author approves the exact words."""


@dataclass(frozen=True)
class Typed:
    """What came back with a form that needs attention, so that nothing typed is lost."""

    body: str | None = None
    question: str = ""
    error: DomainError | None = None

    def on(self, field: str) -> str | None:
        """The reason that belongs beside this field."""
        return self.error.message if isinstance(self.error, Invalid) and self.error.field == field else None


@bp.context_processor
def _words() -> dict[str, object]:
    return {"NAMES": NAMES, "TABS": TABS, "STATES": STATES, "KINDS": story_checks.KINDS, "STORY": STORY}


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """The queue, without anybody's words."""
    with db.reading() as session:
        return render_template("console/desk/index.html", **_queue(session))


@bp.get("/<uuid:gift_id>")
@signed_in
def show(gift_id: UUID) -> ResponseReturnValue:
    """One thing that waits, beside the queue. Reading it is audited."""
    desk.note_reading(gift_id, me())
    return _page(gift_id, Typed())


@bp.post("/<uuid:gift_id>/look")
@signed_in
def look(gift_id: UUID) -> ResponseReturnValue:
    """How the words that are being edited differ, measure and are marked. Nothing is kept."""
    body = request.form.get("body", "")
    if "HX-Request" not in request.headers:
        return _page(gift_id, Typed(body))
    with db.reading() as session:
        gift = access.require_gift(session, me(), gift_id)
        return render_template("console/desk/_look.html", gift=gift, typed=Typed(body), **_look(gift, body))


@bp.post("/<uuid:gift_id>/approve")
@signed_in
def approve(gift_id: UUID) -> ResponseReturnValue:
    """One person's yes to the words as they stand in the form."""
    body, following = request.form.get("body", ""), _following(gift_id)
    try:
        state = deciding.approve(
            gift_id, me(), body, looked=request.form.get("looked") == "1",
            circle_id=request.form.get("circle", type=UUID),
        )  # fmt: skip
    except (Invalid, Conflict) as error:
        return _page(gift_id, Typed(body, error=error))
    if state == GiftState.APPROVED:
        flash("Approved.", "good")
    else:
        flash("Your yes is kept. It speaks of self-harm, so a second person reads it now.", "info")
    return redirect(following)


@bp.post("/<uuid:gift_id>/edit")
@signed_in
def edit(gift_id: UUID) -> ResponseReturnValue:
    """Keep the words and decide later."""
    try:
        deciding.edit(gift_id, me(), request.form.get("body", ""))
    except Conflict as error:
        return _page(gift_id, Typed(request.form.get("body", ""), error=error))
    flash("Kept. Nothing of it goes on by that.", "good")
    return redirect(url_for("desk.show", gift_id=gift_id, **_shelf()))


@bp.post("/<uuid:gift_id>/ask")
@signed_in
def ask(gift_id: UUID) -> ResponseReturnValue:
    """Ask its author; the answer comes into the inbox, and stands here."""
    question, following = request.form.get("question", ""), _following(gift_id)
    try:
        deciding.ask(gift_id, me(), question)
    except (Invalid, Conflict) as error:
        return _page(gift_id, Typed(question=question, error=error))
    flash("Asked. Their answer comes into the inbox, and it stands here.", "good")
    return redirect(following)


@bp.post("/<uuid:gift_id>/decline")
@signed_in
def decline(gift_id: UUID) -> ResponseReturnValue:
    """A kind no, or silence."""
    following = _following(gift_id)
    try:
        deciding.decline(gift_id, me(), request.form.get("words") or None)
    except (Invalid, Conflict) as error:
        return _page(gift_id, Typed(error=error))
    flash("Declined. It goes to nobody.", "good")
    return redirect(following)


def _page(gift_id: UUID, typed: Typed) -> ResponseReturnValue:
    with db.reading() as session:
        gift = access.require_gift(session, me(), gift_id)
        taken = request.args.get("words", type=UUID)
        answers = deciding.answers(session, gift)
        body = next((m.body for m in answers if m.id == taken), gift.body) if typed.body is None else typed.body
        author = desk.author(session, me(), gift)
        first = session.get(Coordinator, gift.first_reader) if gift.first_reader else None
        circle = session.get(Circle, gift.circle_id) if gift.circle_id else None
        queue = _queue(session) | {"here": gift.id}
        queue["neighbours"] = _neighbours(queue["found"], gift.id)
        page = render_template(
            "console/desk/show.html",
            **queue,
            **_look(gift, body),
            gift=gift,
            typed=typed,
            original=story_checks.marked(gift.original),
            author=author,
            answers=answers,
            first=first,
            open=gift.state in OPEN,
            circle_name=circle.name if circle else "",
            circle_options=[(str(c.id), c.name) for c in deciding.circles_for(session, me(), gift)],
            obstacles=deciding.obstacles(session, gift, body or "-"),
            kind_words=_kind_words(author, gift),
        )
    return page, typed.error.status if typed.error else 200


def _look(gift: Gift, body: str) -> dict[str, Any]:
    return {
        "body": body,
        "size": deciding.fit(gift.kind, body),
        "marked": story_checks.marked(body),
        "findings": story_checks.findings(body),
        "pieces": differences.between(gift.original, body),
    }


def _kind_words(author: Member | None, gift: Gift) -> list[tuple[str, str]]:
    """Our kind wordings of a no, as its author would read them."""
    language = gift.language if author is None else author.language
    facts = outbox.facts("", language) | {"kind": KINDS[gift.kind].name(language)}
    return [(name, outbox.wording(f"sms/{name}.txt", language, facts)) for name in deciding.KIND_WORDS]


def _shelf() -> dict[str, Any]:
    """The filters of the queue, as they stand in the address."""
    kind, circle = request.args.get("kind", ""), request.args.get("circle", type=UUID)
    return {"kind": kind if kind in list(Giving) else None, "circle": circle, "after": request.args.get("after")}


def _queue(session: Session) -> dict[str, Any]:
    shelf = _shelf()
    after = request.args.get("after", type=UUID)
    kind = Giving(shelf["kind"]) if shelf["kind"] else None
    found = desk.queue(session, me(), kind=kind, circle_id=shelf["circle"], after=after)
    return {
        "found": found,
        "shelf": shelf,
        "circles": desk.circles(session, me()),
        "older": found[-1].id if len(found) == desk.PAGE else None,
        "here": None,
        "neighbours": (None, found[0].id if found else None),
    }


def _neighbours(found: list[desk.Waiting], here: UUID) -> tuple[UUID | None, UUID | None]:
    """What stands before and after this one in the queue."""
    ids = [each.id for each in found]
    if here not in ids:
        return None, ids[0] if ids else None
    at = ids.index(here)
    return (ids[at - 1] if at else None), (ids[at + 1] if at + 1 < len(ids) else None)


def _following(gift_id: UUID) -> str:
    """Where to go once this is decided: to the next thing, or back to the queue. A story has its own page."""
    with db.reading() as session:
        found = _queue(session)["found"]
    before, after = _neighbours(found, gift_id)
    chosen = next((each for each in found if each.id == (after or before)), None)
    if chosen is None or chosen.kind == Giving.STORY:
        return url_for("desk.index", **_shelf())
    return url_for("desk.show", gift_id=chosen.id, **_shelf())
