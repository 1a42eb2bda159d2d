"""Something for others on a member's signed page: a story, a note, a step, a sentence, a feeling. One page for all."""

from dataclasses import dataclass
from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.actions.conversations.on_page import Heard
from service.actions.giving import page as actions
from service.actions.giving.kinds import KINDS
from service.errors import DomainError, NotFound
from service.models.giving import Giving
from service.web import public_words
from service.web.languages import gettext as _
from service.web.public_holder import holder_of, speak_to


@dataclass(frozen=True)
class Words:
    """What the page of one kind says."""

    title: str
    lead: str
    label: str
    after: str
    """What happens with it once a volunteer has read it."""
    done: str


def _words(giving: Giving) -> Words:
    return {
        Giving.STORY: Words(
            _("Tell your story"),
            _("What it was like, and what helped. Others who feel that way may read it one day."),
            _("Your story"),
            _("You get the exact text before anything happens, and you say yes or no to it, and how you are named."),
            _("Thank you. Your story is with a volunteer now. You get the exact text before anything happens."),
        ),
        Giving.NOTE: Words(
            _("A note for somebody"),
            _("A few kind lines for somebody who is having a hard time, as you would have liked to read them."),
            _("Your note"),
            _("A coordinator chooses who gets it. No name, no number and no address goes with it."),
            _("Thank you. Your note is with a volunteer now."),
        ),
        Giving.STEP: Words(
            _("A small step"),
            _("Something small that you did. It may be just what somebody else was thinking of."),
            _("Your step"),
            _("It may be part of your circle's week."),
            _("Thank you. Your step is with a volunteer now."),
        ),
        Giving.SAID: Words(
            _("How I said it"),
            _("The sentence with which you set a boundary, or disagreed. Others may borrow it."),
            _("Your sentence"),
            _("It may be part of your circle's week."),
            _("Thank you. Your sentence is with a volunteer now."),
        ),
        Giving.FEELING: Words(
            _("Share a feeling"),
            _("Something that you feel, in a line or two. Others may answer ME TOO."),
            _("Your feeling"),
            _("Others may be asked whether they know it, without your name. You hear how many do, if enough do."),
            _("Thank you. Your feeling is with a volunteer now."),
        ),
    }[giving]


def names() -> list[tuple[str, str]]:
    """Each kind with what its page is called."""
    return [(giving.value, _words(giving).title) for giving in KINDS]


def give(token: str, kind: str) -> ResponseReturnValue:
    """Room to write it, what happens with it, and the tick that passes it on. Nothing typed is lost."""
    member_id, channel = holder_of(token)
    view = speak_to(member_id)
    g.private = True
    if kind not in list(Giving):
        raise NotFound("There is nothing here. Go back and try once more.")
    giving = Giving(kind)
    if request.method == "GET" or view.left:
        return _page(token, giving, None, {}, left=view.left), 200
    form = request.form
    try:
        given = actions.give(
            member_id, channel, giving, form.get("words", ""), passed="pass" in form, named="named" in form,
            circle_id=form.get("circle", type=UUID),
        )  # fmt: skip
    except DomainError as error:
        if error.status not in (409, 422):
            raise
        return _page(token, giving, None, {error.field or "": public_words.said(error)}), error.status
    errors = {given.field: _(given.wrong)} if given.wrong else {}
    left = given.heard == Heard.STOPPED
    return _page(token, giving, given, errors, left=left), 422 if errors else 200


def take_back(token: str, kind: str, gift_id: UUID) -> ResponseReturnValue:
    """Take back something that was passed on."""
    member_id, _channel = holder_of(token)
    speak_to(member_id)
    actions.take_back(member_id, gift_id)
    flash(_("Taken back. Nothing more of it is passed on."), "good")
    return redirect(url_for("public.give", token=token, kind=kind))


def _page(
    token: str, giving: Giving, given: actions.Given | None, errors: dict[str, str], *, left: bool = False
) -> str:
    holder, _channel = holder_of(token)
    around = actions.around(holder, giving) if not left else None
    choices = [(str(id_), name) for id_, name in around.circles] if around else []
    return render_template(
        "public/give.html", token=token, kind=giving.value, words=_words(giving), most=KINDS[giving].longest,
        around=around, circle_options=[("", _("None of my circles")), *choices],
        given=given, errors=errors, form=request.form, left=left, others=[n for n in names() if n[0] != giving],
    )  # fmt: skip
