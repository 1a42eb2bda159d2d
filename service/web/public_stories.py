"""Hope stories on public pages: a story's own page, its author's yes to exact words, and taking one back."""

from uuid import UUID

from flask import flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service import clock, db, links
from service.actions import times
from service.actions.conversations.on_page import Heard
from service.actions.hope import page as actions
from service.actions.hope.asking import Agreed
from service.errors import DomainError, Malformed, NotFound
from service.models.content import Attribution, Story, StoryState
from service.models.members import ChannelName, Member
from service.web import languages, public_words
from service.web.languages import gettext as _
from service.web.public_holder import holder_of, speak_to


def story(token: str) -> ResponseReturnValue:
    """A story on a page of its own, as long as its author agrees to one; search engines only where they did, too."""
    with db.reading() as session:
        found = session.get(Story, UUID(str(links.read("story", token)[0])))
    if found is None or not _may_be_read(found):
        raise NotFound("This story is resting. Its author may have asked for it back.")
    answer = make_response(
        render_template("public/story.html", story=found, paragraphs=_paragraphs(found), author=_author(found))
    )
    if not found.consent_found:
        answer.headers["X-Robots-Tag"] = "noindex, noarchive"
    return answer


def _may_be_read(story: Story) -> bool:
    ended = story.consent_until is not None and story.consent_until < clock.now().date()
    return story.state == StoryState.PUBLISHED and story.consent_page and not ended


def _paragraphs(story: Story) -> list[str]:
    return [part.strip() for part in story.body_email.replace("\r", "").split("\n\n") if part.strip()]


def _author(story: Story) -> str:
    return story.author_name if story.attribution != Attribution.ANONYMOUS else ""


def approve(token: str) -> ResponseReturnValue:
    """The exact words, what their author agrees to, and a button. A GET only shows them."""
    story_hex, author_hex, mark = links.read("approve", token)[:3]
    story_id, author_id = UUID(story_hex), UUID(author_hex)
    g.private = True
    if request.method == "GET":
        return _approval(token, story_id, author_id, mark)
    do = request.form.get("do", "")
    try:
        if do == "back":
            actions.take_back(author_id, story_id)
            return render_template("public/approve_done.html", done="back", heard="", when="")
        if do == "change":
            heard, when = actions.ask_change(author_id, _channel(author_id), request.form.get("words", ""))
            return render_template("public/approve_done.html", done="change", heard=heard.value, when=when)
        actions.approve(story_id, author_id, mark, _agreed())
    except DomainError as error:
        if error.status != 422:
            raise
        return _approval(token, story_id, author_id, mark, {error.field or "": public_words.said(error)}), 422
    return render_template("public/approve_done.html", done="yes", heard=Heard.KEPT.value, when="")


def _approval(token: str, story_id: UUID, author_id: UUID, mark: str, errors: dict[str, str] | None = None) -> str:
    shown = actions.view(story_id, author_id, mark)
    _speak(shown.member)
    return render_template(
        "public/approve.html", token=token, story=shown.story, paragraphs=_paragraphs(shown.story), shown=shown,
        name=shown.member.first_name, errors=errors or {}, form=request.form,
    )  # fmt: skip


def _speak(member: Member) -> None:
    languages.prefer(member.locale)
    g.zone, g.country = member.time_zone, member.country


def _channel(author_id: UUID) -> ChannelName:
    """Where a written change belongs: the channel that the author prefers, a text where nothing is preferred."""
    view = speak_to(author_id)
    known = [address.channel for address in view.addresses]
    return ChannelName.EMAIL if known == [ChannelName.EMAIL] else ChannelName.SMS


def _agreed() -> Agreed:
    form = request.form
    try:
        attribution = Attribution(form.get("named", "anonymous"))
    except ValueError:
        raise Malformed("We could not read what was sent. Go back and try once more.") from None
    ways = form.getlist("ways")
    return Agreed(
        sms="sms" in ways, email="email" in ways, page="page" in ways, found="found" in form,
        attribution=attribution, until=actions.ends_on(form.get("until", "")),
    )  # fmt: skip


def mine(token: str) -> ResponseReturnValue:
    """The stories that the holder of this link told, by their days, each with a button that takes it back."""
    member_id, _channel_of_link = holder_of(token)
    view = speak_to(member_id)
    if request.method == "POST":
        try:
            actions.take_back(member_id, UUID(request.form.get("story", "")))
        except ValueError:
            raise Malformed("We could not read what was sent. Go back and try once more.") from None
        flash(_("Taken back. Nothing more of it goes out; what was already sent can't be called back."), "good")
        return redirect(url_for("public.my_stories", token=token))
    told = [(s, times.day(s.created_at, view.time_zone, view.locale), _state(s.state)) for s in actions.mine(member_id)]
    return render_template("public/my_stories.html", token=token, told=told)


def _state(state: StoryState) -> str:
    return {
        StoryState.AWAITING_AUTHOR: _("waits for your yes"),
        StoryState.PUBLISHED: _("may be read by others"),
        StoryState.RESTING: _("rests for now"),
    }.get(state, _("with a volunteer"))
