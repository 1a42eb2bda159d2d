"""A story and its author: asking for their yes, a kind no, and a lead's word where it is early."""

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.actions import stories
from service.actions.hope import asking
from service.errors import Conflict, DomainError, Invalid
from service.web.auth import me, role
from service.web.console import story_page

WHOLE = ("admin", "safeguarding", "coordinator")
NAMES = {"sms": "by text", "email": "by email"}


@role(*WHOLE)
def ask(story_id: UUID) -> ResponseReturnValue:
    """Send the author these exact words with three digits."""
    try:
        sent = asking.ask(story_id, me())
    except Conflict as error:
        flash(error.message, "warn")
    else:
        flash(f"Sent {' and '.join(NAMES[c] for c in sent)}. What they answer is shown here, and in the inbox.", "good")
    return redirect(url_for("stories.show", story_id=story_id))


@role(*WHOLE)
def decline(story_id: UUID) -> ResponseReturnValue:
    """It will not be published, and its author hears it kindly, or from a person."""
    words = request.form.get("words", "")
    try:
        told = stories.decline(story_id, me(), words, request.form.get("own", ""))
    except (Conflict, Invalid) as error:
        return _back(story_id, error)
    if told:
        flash("Declined, and its author has been told in these words.", "good")
    elif words:
        flash("Declined. Its author cannot be written to now, so nobody has told them.", "warn")
    else:
        flash("Declined. Nobody has been told; write to its author yourself, kindly.", "good")
    return redirect(url_for("stories.show", story_id=story_id))


@role(*WHOLE)
def early(story_id: UUID) -> ResponseReturnValue:
    """A lead says why it may be read within a year."""
    try:
        stories.note_early(story_id, me(), request.form.get("why", ""))
    except DomainError as error:
        if error.status not in (403, 422):
            raise
        return _back(story_id, error)
    flash("Noted, with your name.", "good")
    return redirect(url_for("stories.show", story_id=story_id))


def _back(story_id: UUID, error: DomainError) -> ResponseReturnValue:
    page = render_template("console/stories/show.html", **story_page.view(story_id, me()), error=error)
    return page, error.status
