"""A place to say it, behind a member's signed link. What was said is not shown here: links are passed on."""

from uuid import UUID

from flask import g, render_template, request
from flask.typing import ResponseReturnValue

from service.actions import times
from service.actions.conversations.on_page import Heard
from service.actions.preferences import View
from service.actions.vents import keeping, page
from service.errors import DomainError
from service.models.members import ChannelName
from service.web import public_words
from service.web.languages import gettext as _
from service.web.public_holder import holder_of, speak_to


def vent(token: str) -> ResponseReturnValue:
    """Room for it, and for how long it is kept."""
    member_id, channel = holder_of(token)
    view = speak_to(member_id)
    g.private = True
    if request.method == "GET" or view.left:
        return _page(token, view), 200
    try:
        said = _say(member_id, channel)
    except DomainError as error:
        if error.status not in (409, 422):
            raise
        return _page(token, view, errors={error.field or "": public_words.said(error)}), error.status
    return _page(token, view, said), 200


def _say(member_id: UUID, channel: ChannelName) -> page.Said:
    days = request.form.get("days", "")
    return page.say(
        member_id, channel, request.form.get("words", ""), int(days) if days.isdigit() else 0,
        answer="answer" in request.form,
    )  # fmt: skip


def _page(token: str, view: View, said: page.Said | None = None, errors: dict[str, str] | None = None) -> str:
    return render_template(
        "public/vent.html",
        token=token,
        left=view.left or (said is not None and said.heard == Heard.STOPPED),
        heard=said.heard.value if said else "",
        when=said.when if said else "",
        until=times.day(said.until, view.time_zone, view.locale) if said and said.until else "",
        choices=[("1", _("a day")), ("7", _("a week")), ("14", _("two weeks")), ("30", _("a month"))],
        usual=str(keeping.USUAL_DAYS),
        errors=errors or {},
        form=request.form,
    )
