"""Members: the list, the search, a member's page, adding somebody, and the export.

`member_acts` does things to one member; `imports` reads files.
"""

from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.actions import contacts, directory, exports, imports, member_card
from service.actions.directory import Filters
from service.actions.member_desk import MAY_CHANGE, MAY_ERASE
from service.db import reading
from service.errors import Conflict, Invalid
from service.models.members import Address, ChannelName, Topic
from service.web.auth import me, role, signed_in
from service.web.console import imports as import_pages
from service.web.console import inbox_words, member_acts, member_words
from service.web.console.member_forms import AddMember, Search
from service.web.forms import put_error

bp = Blueprint("members", __name__, url_prefix="/console/members")


@bp.context_processor
def _context() -> dict[str, object]:
    return {"words": member_words, "fared": inbox_words.fared}


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """The list, by name, a page at a time."""
    filters = _filters()
    with reading() as session:
        page = directory.page(
            session,
            me(),
            filters,
            after=request.args.get("after", type=UUID),
            before=request.args.get("before", type=UUID),
        )
        return render_template(
            "console/members/index.html",
            page=page,
            filters=filters,
            counts=directory.counts(session, me()),
            circles=directory.circles(session, me()),
            search=Search(formdata=None),
            link=_link,
            masked=_masked,
            may_change=me().role in MAY_CHANGE,
        )


@bp.post("/find")
@signed_in
def find() -> ResponseReturnValue:
    """Search. A POST, so that no number or address stands in an address bar, a history or a log."""
    typed = Search().q.data or ""
    if not directory.looks_like_address(typed):
        return redirect(url_for("members.index", name=typed[:80] or None))
    with reading() as session:
        found = directory.by_address(session, me(), typed)
    if not found:
        flash("Nobody has exactly this number or address. A name can be searched by its beginning.", "info")
        return redirect(url_for("members.index"))
    if len(found) > 1:
        return redirect(url_for("members.index", sharing_with=found[0]))
    return redirect(url_for("members.show", member_id=found[0]))


@bp.get("/<uuid:member_id>")
@signed_in
def show(member_id: UUID) -> ResponseReturnValue:
    """A member's page; that it was read is noted."""
    card = member_card.card(me(), member_id)
    with reading() as session:
        circles = directory.circles(session, me())
    there = {circle.id for circle, _ in card.circles}
    return render_template(
        "console/members/show.html",
        card=card,
        member=card.member,
        timeline=member_words.timeline(card),
        other_circles=[c for c in circles if c.id not in there],
        may_change=me().role in MAY_CHANGE,
        may_erase=me().role in MAY_ERASE,
    )


@bp.route("/new", methods=["GET", "POST"])
@role(*MAY_CHANGE)
def new() -> ResponseReturnValue:
    """Add somebody who told us in person, on paper or by phone."""
    form = AddMember()
    with reading() as session:
        form.offer(directory.circles(session, me()))
    known = False
    if form.validate_on_submit():
        try:
            member_id = imports.add_member(form.values(), me().id, shared=form.shared.data, adult=form.adult.data)
        except imports.NotAdded as error:
            for each in error.errors:
                put_error(form, each)
        except Conflict as error:
            known = True
            put_error(form, Invalid(error.message))
        else:
            flash("Added.", "good")
            return redirect(url_for("members.show", member_id=member_id))
    page = render_template("console/members/new.html", form=form, known=known or bool(form.shared.data))
    return page, 422 if form.is_submitted() else 200


@bp.get("/export")
@role(*MAY_CHANGE)
def export() -> ResponseReturnValue:
    """What an export is, before it is one."""
    with reading() as session:
        count = directory.counts(session, me())["all"]
    return render_template("console/members/export.html", count=count)


@bp.post("/export")
@role(*MAY_CHANGE)
def export_now() -> ResponseReturnValue:
    """The file, as it is read."""
    answer = Response(exports.members_csv(me()), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{exports.file_name()}"'
    return answer


def _masked(address: Address) -> str:
    return contacts.mask(address.channel, address.value)


def _filters() -> Filters:
    args = request.args
    shelf = args.get("shelf", "")
    topic, channel = args.get("topic", ""), args.get("channel", "")
    return Filters(
        shelf=shelf if shelf in directory.SHELVES else "all",
        name=args.get("name", "").strip(),
        topic=Topic(topic) if topic in set(Topic) else None,
        channel=ChannelName(channel) if channel in set(ChannelName) else None,
        circle_id=args.get("circle", type=UUID),
        sharing_with=args.get("sharing_with", type=UUID),
    )


def _link(filters: Filters, **changes: object) -> str:
    """The list with these filters and changes."""
    shown: dict[str, object] = {
        "shelf": filters.shelf if filters.shelf != "all" else None,
        "name": filters.name or None,
        "topic": filters.topic,
        "channel": filters.channel,
        "circle": filters.circle_id,
        "sharing_with": filters.sharing_with,
    }
    return url_for("members.index", **(shown | changes))  # type: ignore[arg-type]


CHANGE, ERASE = role(*MAY_CHANGE), role(*MAY_ERASE)
PAGES, ACTS = ["GET", "POST"], ["POST"]
for _rule, _view, _methods in (
    ("/<uuid:member_id>/edit", CHANGE(member_acts.edit), PAGES),
    ("/<uuid:member_id>/stop", signed_in(member_acts.stop), PAGES),
    ("/<uuid:member_id>/pause", signed_in(member_acts.pause), PAGES),
    ("/<uuid:member_id>/undo-stop", CHANGE(member_acts.undo_stop), PAGES),
    ("/<uuid:member_id>/died", CHANGE(member_acts.died), PAGES),
    ("/<uuid:member_id>/erase", ERASE(member_acts.erase), PAGES),
    ("/<uuid:member_id>/resume", signed_in(member_acts.resume), ACTS),
    ("/<uuid:member_id>/phone-is-theirs", signed_in(member_acts.phone_is_theirs), ACTS),
    ("/<uuid:member_id>/circles/add", signed_in(member_acts.circle_add), ACTS),
    ("/<uuid:member_id>/circles/leave", signed_in(member_acts.circle_leave), ACTS),
    ("/import/<uuid:run_id>", CHANGE(import_pages.run), ["GET"]),
    ("/import/<uuid:run_id>/live", CHANGE(import_pages.live), ["GET"]),
    ("/import/<uuid:run_id>/errors.csv", CHANGE(import_pages.errors), ["GET"]),
    ("/import/<uuid:run_id>/go-ahead", CHANGE(import_pages.go_ahead), ACTS),
    ("/import/<uuid:run_id>/again", CHANGE(import_pages.again), ACTS),
    ("/import/<uuid:run_id>/discard", CHANGE(import_pages.discard), ACTS),
):
    bp.add_url_rule(_rule, view_func=_view, methods=_methods)
bp.add_url_rule("/import", view_func=CHANGE(import_pages.upload), methods=PAGES)
