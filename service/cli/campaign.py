"""`hearthline campaign send`: one campaign from the command line, with its progress and its outcome as JSON."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from tqdm import tqdm

from service import db, queue
from service.actions import campaigns, gatherings
from service.errors import Invalid
from service.models.campaigns import COMPOSED, Campaign, CampaignKind, CampaignState
from service.models.gatherings import Circle
from service.models.members import ChannelName, Topic

TIMED_OUT, NO_WORKER = 3, 4
WORKERLESS_FOR = 8.0
"""Seconds without any live worker after which waiting is pointless."""


@click.group()
def campaign() -> None:
    """Campaigns."""


@campaign.command()
@click.option("--kind", type=click.Choice([k.value for k in COMPOSED]), required=True)
@click.option("--channel", type=click.Choice([c.value for c in ChannelName]), required=True)
@click.option(
    "--body-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
    help="Markdown for email, plain for SMS; merge fields such as {{ first_name }}.",
)  # fmt: skip
@click.option("--subject", default="", help="Needed for email.")
@click.option("--topic", type=click.Choice([t.value for t in Topic]), help="By kind, unless it is an announcement.")
@click.option("--circle", help="A circle's slug or name: only its members.")
@click.option("--session", "session_id", type=click.UUID, help="For an invite; default: the circle's next.")
@click.option("--now", is_flag=True, help="Skip window, caps and the open-question rule; never consent or a hold.")
@click.option("--wait", is_flag=True, help="Wait until nothing is queued, sending or unknown.")
@click.option("--timeout", default=600, show_default=True, help="Seconds for --wait.")
def send(
    kind: str, channel: str, body_file: Path, subject: str, topic: str | None, circle: str | None,
    session_id: UUID | None, now: bool, wait: bool, timeout: int,
) -> None:  # fmt: skip
    """Send one campaign. Prints {"campaign","audience","states","skipped"}.

    Exit status: 1 it cannot be sent and why, 3 --wait timed out, 4 --wait and no worker is alive.
    """
    if channel == ChannelName.EMAIL and not subject.strip():
        raise Invalid("An email needs a subject: add --subject 'A short subject'.", field="subject")
    body = _read(body_file)
    draft = _draft(CampaignKind(kind), ChannelName(channel), body, subject, topic, circle, session_id)
    campaign_id = campaigns.send_now(draft, override=now, actor="cli")
    campaigns.freeze(campaign_id)
    status = _wait(campaign_id, ChannelName(channel), timeout) if wait else 0
    campaigns.finish_done()
    with db.reading() as session:
        done = campaigns.progress(session, campaign_id)
    report = {"campaign": str(campaign_id), "audience": done.total, "states": done.states, "skipped": done.skipped}
    click.echo(json.dumps(report))
    sys.exit(status)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"{path.name} is not UTF-8. Save it as UTF-8 and try again.", field="body_file") from None


def _draft(
    kind: CampaignKind, channel: ChannelName, body: str, subject: str, topic: str | None, circle_name: str | None,
    session_id: UUID | None,
) -> campaigns.Draft:  # fmt: skip
    with db.reading() as session:
        circle = _circle(session, circle_name) if circle_name else None
        if kind == CampaignKind.INVITE and session_id is None and circle is not None:
            meeting = gatherings.next_session(session, circle)
            session_id = meeting.id if meeting else None
    if kind == CampaignKind.ANNOUNCEMENT and topic is None and circle is None:
        raise Invalid("An announcement needs --topic or --circle: it goes only to people who asked for it.")
    content = campaigns.ContentDraft(channel, "en", body, subject)
    return campaigns.Draft(
        name=subject.strip() or f"{kind.value.title()} from the command line",
        kind=kind,
        channels=(channel,),
        contents=(content,),
        topic=Topic(topic) if topic else None,
        circle_id=circle.id if circle else None,
        session_id=session_id,
    )


def _circle(session: Session, name: str) -> Circle:
    found = session.scalars(select(Circle).where(or_(Circle.slug == name, Circle.name == name))).first()
    if found is None:
        known = ", ".join(session.scalars(select(Circle.slug).order_by(Circle.slug))) or "none yet"
        raise Invalid(f"There is no circle {name!r}. There are: {known}.", field="circle")
    return found


def _wait(campaign_id: UUID, channel: ChannelName, timeout: int) -> int:
    """Watch until nothing is open; 0, or why the watching ended."""
    ends = time.monotonic() + timeout
    workers = _watch_workers("texts" if channel == ChannelName.SMS else "emails")
    with tqdm(total=None, unit="msg", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        while True:
            with db.reading() as session:
                done = campaigns.progress(session, campaign_id)
                state = session.scalar(select(Campaign.state).where(Campaign.id == campaign_id))
            bar.total = done.total
            bar.update(done.total - done.open - bar.n)
            if not done.open:
                return 0
            if state == CampaignState.PAUSED:
                _say_paused(campaign_id)
                return 1
            if not workers():
                click.echo("No worker is alive: start one with `hearthline worker`, or the demo.", err=True)
                return NO_WORKER
            if time.monotonic() >= ends:
                click.echo(f"Still {done.open} open after {timeout} s; sending goes on.", err=True)
                return TIMED_OUT
            time.sleep(0.25)


def _say_paused(campaign_id: UUID) -> None:
    with db.reading() as session:
        reason = session.scalar(select(Campaign.paused_reason).where(Campaign.id == campaign_id))
    click.echo(f"The campaign was paused. {reason or ''}".strip(), err=True)


def _watch_workers(name: str) -> Callable[[], bool]:
    """Whether a worker of the queue was seen lately; a Redis that cannot tell counts as yes."""
    last_seen = time.monotonic()

    def alive() -> bool:
        nonlocal last_seen
        if queue.live_workers(name) != 0:
            last_seen = time.monotonic()
        return time.monotonic() - last_seen < WORKERLESS_FOR

    return alive
