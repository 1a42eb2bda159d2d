"""The quieter pages of Settings: ready replies, the organisation and the providers as they are set, the audit trail."""

from typing import NamedTuple
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from service import config, db
from service.actions import access, canned
from service.actions.conversations import store
from service.errors import Invalid
from service.models.conversations import WebhookEvent
from service.models.staff import AuditEntry, Coordinator
from service.web.auth import me, role, signed_in
from service.web.forms import HearthForm, put_error

WHOLE = ("admin", "safeguarding", "coordinator")
TRAIL_PAGE = 50


class ReplyForm(HearthForm):
    """Words to begin a reply with."""

    title = StringField("Title", [InputRequired("Give it a title, so that others find it."), Length(max=80)])
    language = SelectField("Language", choices=[("en", "English"), ("es", "Spanish")])
    body = TextAreaField("Words", [InputRequired("Write a few words here.")])


class Fact(NamedTuple):
    """One setting as it is, and the variable that changes it."""

    label: str
    value: str
    variable: str


class Hook(NamedTuple):
    """One address that a provider calls."""

    label: str
    path: str
    where: str
    kind: str
    variable: str
    signed: bool


@signed_in
def replies() -> ResponseReturnValue:
    """Every ready reply."""
    with db.reading() as session:
        found = canned.listed(session)
    return render_template("console/settings/replies.html", found=found, may_change=access.sees_everything(me()))


@role(*WHOLE)
def new_reply() -> ResponseReturnValue:
    """Write one."""
    return _reply(None, ReplyForm())


@role(*WHOLE)
def edit_reply(reply_id: UUID) -> ResponseReturnValue:
    """Change one."""
    with db.reading() as session:
        found = canned.get(session, reply_id)
    return _reply(reply_id, ReplyForm(obj=found))


def _reply(reply_id: UUID | None, form: ReplyForm) -> ResponseReturnValue:
    if form.validate_on_submit():
        try:
            canned.save(reply_id, me(), title=form.title.data, language=form.language.data, body=form.body.data)
        except Invalid as error:
            put_error(form, error)
        else:
            flash("Saved.", "good")
            return redirect(url_for("settings.replies"))
    page = render_template("console/settings/edit_reply.html", form=form, reply_id=reply_id)
    return page, 422 if form.is_submitted() else 200


@role(*WHOLE)
def delete_reply(reply_id: UUID) -> ResponseReturnValue:
    """Take one away."""
    canned.delete(reply_id, me())
    flash("Taken away.", "good")
    return redirect(url_for("settings.replies"))


@signed_in
def organisation() -> ResponseReturnValue:
    """What members read about us and when they hear from us, as it is set."""
    s = config.current()
    caps = [("a day", s.daily_cap), ("a week", s.weekly_cap)]
    groups = [
        (
            "Who we are",
            [
                Fact("Name", s.org_name, "ORG_NAME"),
                Fact("Postal address, in every mail", s.org_postal_address, "ORG_POSTAL_ADDRESS"),
                Fact("Where HELP sends people", s.org_help_contact, "ORG_HELP_CONTACT"),
                Fact("Our address on the web", s.base_url, "PUBLIC_URL"),
            ],
        ),
        (
            "When members hear from us",
            [
                Fact("Hours, on each member's own clock", s.sending_window.replace("-", " to "), "SENDING_WINDOW"),
                *(Fact(f"Most {span}", str(n) if n else "no limit", f"{name}_CAP")
                  for (span, n), name in zip(caps, ("DAILY", "WEEKLY"), strict=True)),
                Fact("Countries that we text", ", ".join(s.countries), "SMS_COUNTRIES"),
                Fact("Country for numbers without one", s.default_country, "DEFAULT_COUNTRY"),
                Fact("Channels", " and ".join(s.enabled_channels), "CHANNELS"),
            ],
        ),
    ]  # fmt: skip
    return render_template("console/settings/organisation.html", groups=groups, demo=s.demo)


@role("admin", "safeguarding")
def providers() -> ResponseReturnValue:
    """Which addresses to copy to the providers, and whether anything has come from them."""
    s = config.current()
    hooks = [
        Hook("Texts from members", "/webhooks/twilio/message", "Twilio: the messaging service, “Send a webhook”",
             store.TEXT, "TWILIO_AUTH_TOKEN", bool(s.twilio_auth_token)),
        Hook("What became of our texts", "/webhooks/twilio/status", "nothing to copy: it goes along with each text",
             store.TEXT_STATUS, "TWILIO_AUTH_TOKEN", bool(s.twilio_auth_token)),
        Hook("Mail from members", "/webhooks/sendgrid/inbound", "SendGrid: Inbound Parse, with its signature",
             store.EMAIL, "SENDGRID_INBOUND_PUBLIC_KEY", bool(s.inbound_key)),
        Hook("What became of our mail", "/webhooks/sendgrid/events", "SendGrid: Event Webhook, signed",
             store.EMAIL_EVENT, "SENDGRID_WEBHOOK_PUBLIC_KEY", bool(s.sendgrid_webhook_public_key)),
    ]  # fmt: skip
    last = {}
    with db.reading() as session:
        for hook in hooks:
            of_kind = select(WebhookEvent.received_at).where(WebhookEvent.kind == hook.kind)
            last[hook.kind] = session.scalar(of_kind.order_by(WebhookEvent.id.desc()).limit(1))
    sends = [
        Fact("Texts come from", s.twilio_messaging_service_sid or s.twilio_from,
             "TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM"),
        Fact("Twilio account", s.twilio_account_sid, "TWILIO_ACCOUNT_SID"),
        Fact("Twilio is reached at", s.twilio_api_url, "TWILIO_API_URL"),
        Fact("Mail comes from", s.sendgrid_from, "SENDGRID_FROM"),
        Fact("Replies to mail go to", s.sendgrid_inbound_domain, "SENDGRID_INBOUND_DOMAIN"),
        Fact("SendGrid is reached at", s.sendgrid_api_url, "SENDGRID_API_URL"),
    ]  # fmt: skip
    return render_template(
        "console/settings/providers.html", hooks=hooks, last=last, sends=sends, real=s.uses_real_providers
    )


@role("admin", "safeguarding")
def trail() -> ResponseReturnValue:
    """Who did what, newest first; never anybody's words."""
    before, who, what = request.args.get("before", type=int), request.args.get("who", ""), request.args.get("what", "")
    statement = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(TRAIL_PAGE)
    if before:
        statement = statement.where(AuditEntry.id < before)
    if who:
        statement = statement.where(AuditEntry.actor == who)
    if what:
        statement = statement.where(AuditEntry.action.startswith(f"{what}.", autoescape=True))
    with db.reading() as session:
        entries = list(session.scalars(statement))
        people = {str(c.id): c.name for c in session.scalars(select(Coordinator).order_by(Coordinator.name))}
    return render_template(
        "console/settings/trail.html",
        entries=entries,
        people=people,
        who=who,
        what=what,
        before=before,
        older=entries[-1].id if len(entries) == TRAIL_PAGE else None,
    )
