"""The inbox's addresses. `inbox_page` puts the pages together, `inbox_acts` does things, `inbox_flags` is for risk."""

from uuid import UUID

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from service import db
from service.actions.conversations import finding, replying, threads
from service.web.auth import me, signed_in
from service.web.console import (
    inbox_acts,
    inbox_files,
    inbox_flags,
    inbox_page,
    inbox_promises,
    inbox_tags,
    inbox_words,
)

bp = Blueprint("inbox", __name__, url_prefix="/console/inbox")


@bp.context_processor
def _words() -> dict[str, object]:
    return {"words": inbox_words, "FOLDERS": inbox_page.FOLDERS}


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """A folder, or what a search found; nothing opened."""
    with db.reading() as session:
        page = inbox_page.frame(session)
        html = render_template("console/inbox/index.html", **page)
    if page["found"] is not None:
        finding.note_search(me())
    return html


@bp.get("/list")
@signed_in
def rows() -> ResponseReturnValue:
    """The list alone, for a page that renews itself; 204 while it is as the page has `seen` it."""
    current = request.args.get("current", type=UUID)
    with db.reading() as session:
        page = inbox_page.frame(session, current)
        if request.args.get("seen") == page["list_mark"]:
            return "", 204
        return render_template("console/inbox/_list.html", current=current, renewed=True, **page)


@bp.get("/<uuid:conversation_id>")
@signed_in
def show(conversation_id: UUID) -> ResponseReturnValue:
    """One conversation, with its list and its member beside it."""
    return inbox_page.page_of(conversation_id)


@bp.get("/<uuid:conversation_id>/thread")
@signed_in
def live(conversation_id: UUID) -> ResponseReturnValue:
    """The conversation's words alone; 204 while they are as the page has `seen` them. What is typed stays."""
    with db.reading() as session:
        thread = threads.read(session, me(), conversation_id, limit=inbox_page.SHOWN, upto=inbox_page.upto())
        page = inbox_page.thread_parts(session, thread)
        if request.args.get("seen") == page["thread_mark"]:
            return "", 204
        html = render_template("console/inbox/_thread.html", renewed=True, current=conversation_id, **page)
    replying.note_reading(conversation_id, me())
    return html


for _rule, _view in (
    ("/<uuid:conversation_id>/read", inbox_acts.read),
    ("/<uuid:conversation_id>/writing", inbox_acts.writing),
    ("/<uuid:conversation_id>/reply", inbox_acts.reply),
    ("/<uuid:conversation_id>/note", inbox_acts.note),
    ("/<uuid:conversation_id>/assign", inbox_acts.assign),
    ("/<uuid:conversation_id>/snooze", inbox_acts.snooze),
    ("/<uuid:conversation_id>/resolve", inbox_acts.resolve),
    ("/<uuid:conversation_id>/reopen", inbox_acts.reopen),
    ("/<uuid:conversation_id>/match", inbox_acts.match),
    ("/flags/<uuid:flag_id>/acknowledge", inbox_flags.acknowledge),
    ("/flags/<uuid:flag_id>/take-over", inbox_flags.take_over),
    ("/flags/<uuid:flag_id>/clear", inbox_flags.clear),
):
    bp.add_url_rule(_rule, view_func=_view, methods=["POST"])
bp.add_url_rule("/<uuid:conversation_id>/tags", endpoint="tag", view_func=inbox_tags.add, methods=["POST"])
bp.add_url_rule(
    "/<uuid:conversation_id>/tags/<uuid:tag_id>/remove", endpoint="untag", view_func=inbox_tags.remove, methods=["POST"]
)
for _rule, _name, _act in (
    ("/promises/<uuid:promise_id>/keep", "keep_promise", inbox_promises.keep),
    ("/promises/<uuid:promise_id>/decline", "decline_promise", inbox_promises.decline),
    ("/promises/<uuid:promise_id>/done", "promise_done", inbox_promises.done),
):
    bp.add_url_rule(_rule, endpoint=_name, view_func=_act, methods=["POST"])
bp.add_url_rule("/flags", view_func=inbox_flags.flags)
bp.add_url_rule("/files/<uuid:attachment_id>", endpoint="file", view_func=inbox_files.show)
