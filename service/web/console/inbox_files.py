"""A member's picture or sound, for coordinators alone. It never gets to run anything, whatever is inside it."""

from uuid import UUID

from flask import Response
from flask.typing import ResponseReturnValue

from service import db
from service.actions.conversations import media
from service.web.auth import me, signed_in

POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


@signed_in
def show(attachment_id: UUID) -> ResponseReturnValue:
    """The file. An <img> or <audio> shows it; opened by itself it is saved, never displayed as a page of ours."""
    with db.reading() as session:
        file = media.show(session, me(), attachment_id)
    response = Response(file.content, mimetype=file.kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
