"""Tags on a conversation."""

from uuid import UUID

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from service.actions.conversations import tags
from service.errors import Invalid
from service.web.auth import me, signed_in
from service.web.console import inbox_acts


@signed_in
def add(conversation_id: UUID) -> ResponseReturnValue:
    """Put one on."""
    try:
        tags.add(conversation_id, me(), request.form.get("tag", ""))
    except Invalid as error:
        return inbox_acts.again(conversation_id, "tag", error)
    return _back(conversation_id)


@signed_in
def remove(conversation_id: UUID, tag_id: UUID) -> ResponseReturnValue:
    """Take one off."""
    tags.remove(conversation_id, me(), tag_id)
    flash("The tag is off.", "good")
    return _back(conversation_id)


def _back(conversation_id: UUID) -> ResponseReturnValue:
    return redirect(url_for("inbox.show", conversation_id=conversation_id, folder=inbox_acts.here()))
