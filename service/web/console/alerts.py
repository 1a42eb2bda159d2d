"""What every open page of the console asks for by itself: new risk flags and the inbox's count."""

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from service.web.shell import Shell

STOP_ASKING = 286  # htmx: show this and poll no more

bp = Blueprint("alerts", __name__, url_prefix="/console")


@bp.get("/alerts")
def alerts() -> ResponseReturnValue:
    """The banner and the counts, or 204 while they are as the page has `seen` them.

    Somebody whose session is over is told so in the banner and not sent away: they may be typing.
    """
    if g.me is None:
        return render_template("console/_alerts_ended.html"), STOP_ASKING
    shell = Shell()
    if request.args.get("seen") == shell.signature:
        return "", 204
    return render_template("console/_alerts_changed.html", shell=shell)
