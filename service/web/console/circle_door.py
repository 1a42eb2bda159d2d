"""A circle's door: who waits before it, the code of its invitations, its posters, and closing it."""

from uuid import UUID

from flask import flash, make_response, redirect, url_for
from flask.typing import ResponseReturnValue

from service import db
from service.actions import access
from service.actions.belonging import line, posters
from service.errors import DomainError, NotFound
from service.web.auth import me, role, signed_in

WHOLE = ("admin", "safeguarding", "coordinator")


@signed_in
def let_in(circle_id: UUID, ask_id: UUID) -> ResponseReturnValue:
    """Say yes to somebody who asks or waits."""
    try:
        name = line.let_in(ask_id, me())
    except DomainError as error:
        return _back(circle_id, error)
    if name.endswith("*"):
        flash(f"{name[:-1] or 'They'} may come, but cannot be told by us now: tell them yourself.", "warn")
    else:
        flash(f"{name or 'They'} may come, and will be told as soon as the hour is right for them.", "good")
    return _back(circle_id)


@signed_in
def decline(circle_id: UUID, ask_id: UUID) -> ResponseReturnValue:
    """Say that it cannot be this circle."""
    try:
        line.decline(ask_id, me())
    except DomainError as error:
        return _back(circle_id, error)
    flash("Taken off the list. Nothing was sent: write to them yourself, a machine should not say no.", "info")
    return _back(circle_id)


@signed_in
def code(circle_id: UUID) -> ResponseReturnValue:
    """Make a new code for invitations."""
    line.new_code(circle_id, me())
    flash("There is a new code. The one before opens nothing any more.", "good")
    return _back(circle_id)


@role(*WHOLE)
def close(circle_id: UUID) -> ResponseReturnValue:
    """End a circle."""
    try:
        closed = line.close(circle_id, me())
    except DomainError as error:
        return _back(circle_id, error)
    waited = f" {closed.waited} who waited will be told." if closed.waited else ""
    members = "Its members are told." if closed.told else "It rests, so its members have not been told: write to them."
    flash(f"The circle is closed; {closed.called_off} coming sessions were called off.{waited} {members}",
          "good" if closed.told else "warn")  # fmt: skip
    return _back(circle_id)


@role(*WHOLE)
def reopen(circle_id: UUID) -> ResponseReturnValue:
    """Open a closed circle again."""
    line.reopen(circle_id, me())
    flash("The circle is open again. Plan its next sessions.", "good")
    return _back(circle_id)


@signed_in
def poster(circle_id: UUID, language: str, paper: str, kind: str) -> ResponseReturnValue:
    """The poster, as a file to save or print."""
    with db.reading() as session:
        found = access.require_circle(session, me(), circle_id)
    try:
        made = posters.poster(found, kind, language, paper)
    except KeyError:
        raise NotFound("There is no such poster.") from None
    answer = make_response(made.data)
    answer.headers["Content-Type"] = made.content_type
    answer.headers["Content-Disposition"] = f'inline; filename="{made.name}"'
    return answer


def _back(circle_id: UUID, error: DomainError | None = None) -> ResponseReturnValue:
    if error is not None:
        if error.status != 409:
            raise error
        flash(error.message, "warn")
    return redirect(url_for("sessions.circle", circle_id=circle_id))


RULES = (
    ("/circles/<uuid:circle_id>/asks/<uuid:ask_id>/let-in", let_in, ["POST"]),
    ("/circles/<uuid:circle_id>/asks/<uuid:ask_id>/decline", decline, ["POST"]),
    ("/circles/<uuid:circle_id>/code", code, ["POST"]),
    ("/circles/<uuid:circle_id>/close", close, ["POST"]),
    ("/circles/<uuid:circle_id>/reopen", reopen, ["POST"]),
    ("/circles/<uuid:circle_id>/poster-<language>-<paper>.<kind>", poster, ["GET"]),
)
