"""Importing members by page: give a file, look at what was found, then import it; watch it live."""

from collections.abc import Callable
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.actions import exports, imports_desk
from service.actions.imports_file import COLUMNS, MAX_BYTES
from service.errors import Conflict, Invalid
from service.web.auth import me
from service.web.console.member_forms import Upload
from service.web.forms import put_error
from service.web.security import MB, accepts

SHOWN = 200


@accepts(MAX_BYTES + MB)
def upload() -> ResponseReturnValue:
    """The page that takes a file, with what the columns mean, and the imports of before."""
    form = Upload()
    if form.validate_on_submit():
        try:
            if not form.file.data:
                raise Invalid("Choose a file.", field="file")
            run_id = imports_desk.upload(form.file.data.read(), form.file.data.filename or "", me().id)
        except Invalid as error:
            put_error(form, error)
        else:
            return redirect(url_for("members.run", run_id=run_id))
    page = render_template(
        "console/members/import.html",
        form=form,
        columns=COLUMNS,
        recent=imports_desk.recent(),
        megabytes=MAX_BYTES // MB,
    )
    return page, 422 if form.is_submitted() else 200


def run(run_id: UUID) -> ResponseReturnValue:
    """One import: being checked, checked, being imported, or done."""
    return render_template("console/members/import_run.html", status=imports_desk.status(run_id), shown=SHOWN)


def live(run_id: UUID) -> ResponseReturnValue:
    """The same without the page around it, for a page that renews itself; 204 while nothing has moved."""
    status = imports_desk.status(run_id)
    if request.args.get("seen") == f"{status.run.state}-{status.done}":
        return "", 204
    return render_template("console/members/_import_status.html", status=status, shown=SHOWN)


def errors(run_id: UUID) -> ResponseReturnValue:
    """What was wrong, as a file."""
    status = imports_desk.status(run_id)
    answer = Response("\ufeff" + exports.errors_csv(status.errors), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="import-errors.csv"'
    return answer


def go_ahead(run_id: UUID) -> ResponseReturnValue:
    """Import what was checked."""
    return _do(run_id, lambda: imports_desk.go_ahead(run_id, me().id, skip_bad="skip_bad" in request.form))


def again(run_id: UUID) -> ResponseReturnValue:
    """Try once more what has failed."""
    return _do(run_id, lambda: imports_desk.again(run_id, me().id))


def discard(run_id: UUID) -> ResponseReturnValue:
    """Forget the file."""
    try:
        imports_desk.discard(run_id, me().id)
    except Conflict as error:
        flash(error.message, "warn")
        return redirect(url_for("members.run", run_id=run_id))
    flash("The file is forgotten. Nothing was imported.", "good")
    return redirect(url_for("members.upload"))


def _do(run_id: UUID, act: Callable[[], None]) -> ResponseReturnValue:
    try:
        act()
    except Conflict as error:
        flash(error.message, "warn")
    return redirect(url_for("members.run", run_id=run_id))
