"""The delivery page and the budgets: what waits, what failed and why, and what only a person can decide."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service import clock, db
from service.actions import campaigns
from service.actions.delivery import budget, pace, results, tally
from service.actions.delivery.claims import claim, mark_sending
from service.channels.base import Outcome, Result
from service.config import Settings
from service.models.campaigns import Budget, CampaignKind, Delivery, Usage
from service.models.content import StoryRead
from service.models.members import ChannelName
from service.models.staff import AuditEntry
from tests.flows.world import add_member, send
from tests.web.conftest import Enter
from tests.web.pages import submit

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PAGE = "/console/settings/deliveries"


@pytest.fixture
def admin(enter: Enter, configure: Callable[..., Settings]) -> FlaskClient:
    configure(daily_cap=0, weekly_cap=0)
    pace._away_until = 0.0
    return enter("admin")


def broken_off(minutes: int = 30, name: str = "checkin", people: int = 2) -> Any:
    """A campaign whose texts left, or not: the connection broke."""
    for n in range(people):
        add_member("Ana", f"+1202555{n:04d}")
    campaign = send(CampaignKind.CHECKIN, "How are you, 1 to 5?")
    campaigns.start_due()
    batch = claim("texts", 100).claimed
    mark_sending(batch)
    results.record([Result(c.id, Outcome.UNKNOWN, code="interrupted") for c in batch], {c.id: c for c in batch})
    with db.transaction() as session:
        session.execute(update(Delivery).values(sending_at=clock.now() - timedelta(minutes=minutes)))
    return campaign


def states() -> list[str]:
    with db.reading() as session:
        return [str(s) for s in session.scalars(select(Delivery.state).order_by(Delivery.id))]


def decide(admin: FlaskClient, what: str, campaign: Any) -> Any:
    data = {"channel": "sms", "campaign": str(campaign)}
    return submit(admin, "/console/settings/budgets", data, to=f"{PAGE}/{what}")


def test_what_nobody_knows_is_sent_again_by_a_person_and_written_down(admin: FlaskClient) -> None:
    campaign = broken_off()
    page = admin.get(PAGE).text
    assert "What only a person can decide" in page
    assert "Count as sent" in page
    assert f"/console/campaigns/{campaign}" in page
    answer = decide(admin, "again", campaign)
    assert answer.status_code == 302
    assert states() == ["queued", "queued"]
    assert "2 messages will leave again" in admin.get(PAGE).text
    with db.reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "delivery.sent_again")).one()
    assert entry.detail == {"campaign": str(campaign), "channel": "sms", "messages": 2}
    assert len(claim("texts", 10).claimed) == 2
    decide(admin, "again", campaign)
    assert "settled meanwhile" in admin.get(PAGE).text


def test_counted_as_sent_nothing_leaves_again(admin: FlaskClient) -> None:
    campaign = broken_off()
    decide(admin, "sent", campaign)
    assert states() == ["accepted", "accepted"]
    assert not claim("texts", 10).examined
    with db.reading() as session:
        assert session.scalars(select(Delivery.sent_at)).first() is not None
        assert not session.scalars(select(StoryRead)).all()


def test_what_may_still_be_settled_by_itself_is_not_offered(admin: FlaskClient) -> None:
    campaign = broken_off(minutes=4)
    assert "Count as sent" not in admin.get(PAGE).text
    submit(admin, "/console/settings/budgets", {"channel": "sms", "campaign": str(campaign)}, to=f"{PAGE}/again")
    assert states() == ["unknown", "unknown"]


@pytest.mark.parametrize("data", [{}, {"channel": "sms"}, {"channel": "fax", "delivery": "1"}])
def test_a_decision_about_nothing_is_refused(admin: FlaskClient, data: dict[str, object]) -> None:
    assert submit(admin, "/console/settings/budgets", data, to=f"{PAGE}/again").status_code == 422


def test_the_page_says_what_waits_how_fast_it_goes_and_what_helps(admin: FlaskClient) -> None:
    now = clock.now()
    for n in range(3):
        add_member("Ana", f"+1202555{n:04d}")
    send(CampaignKind.CHECKIN, "How are you, 1 to 5?")
    campaigns.start_due()
    with db.transaction() as session:
        session.execute(update(Delivery).values(due_at=now - timedelta(minutes=7)))
        tally.add(session, {("texts", "accepted", ""): 600, ("texts", "configuration", "30007"): 12}, now)
        tally.add(session, {("emails", "bounced", "bounced"): 1}, now - timedelta(hours=5))
        tally.add(session, {("texts", "failed", "21617"): 9}, now - timedelta(hours=30))
    page = admin.get(f"{PAGE}/live").text
    assert "7 minutes ago" in page
    assert "a second" in page
    assert "less than a minute" in page
    assert "A carrier filtered this as unwanted" in page
    assert "The mailbox does not exist" in page
    assert "longer than 1600" not in page, "that was the day before"
    assert "Redis cannot be reached" in page


def test_a_budget_is_set_shown_and_taken_away(admin: FlaskClient) -> None:
    path = "/console/settings/budgets"
    assert submit(admin, path, {"country": "us", "dollars": "12.50"}).status_code == 302
    with db.transaction() as session:
        session.add(
            Usage(day=clock.now().date(), channel=ChannelName.SMS, country="US", messages=900, segments=900,
                  cost=11_000_000)
        )  # fmt: skip
    page = admin.get(path).text
    assert "88% used" in page
    assert "$1.50" in page
    assert "budget for texts to US is used" in admin.get(PAGE).text
    wrong = submit(admin, path, {"country": "USA", "dollars": "lots"})
    assert wrong.status_code == 422
    assert "Two letters" in wrong.text
    assert 'value="lots"' in wrong.text, "nothing typed is lost"
    submit(admin, path, {"country": "US", "dollars": ""})
    with db.reading() as session:
        assert not session.scalars(select(Budget)).all()


def test_the_page_before_sending_says_what_is_left_of_the_budget(admin: FlaskClient) -> None:
    add_member("Ana", "+12025550001")
    budget.set_budget("US", Decimal("0.01"), None)
    draft = campaigns.Draft(
        name="Nudge", kind=CampaignKind.CHECKIN, channels=(ChannelName.SMS,),
        contents=(campaigns.ContentDraft(ChannelName.SMS, "en", "How are you, 1 to 5?"),),
    )  # fmt: skip
    page = admin.get(f"/console/campaigns/{campaigns.create(draft)}/review").text
    assert "US $0.01" in page
    assert "It may cost more than is left" in page


@pytest.mark.parametrize("role", ["safeguarding", "coordinator", "circle_coordinator"])
def test_only_administrators_see_and_decide(enter: Enter, role: str) -> None:
    browser = enter(role)
    for path in (PAGE, f"{PAGE}/live", "/console/settings/budgets"):
        assert browser.get(path).status_code == 403
    assert "Deliveries" not in browser.get("/console/settings/").text
    for path in (f"{PAGE}/again", f"{PAGE}/sent", "/console/settings/budgets"):
        answer = submit(browser, "/console/settings/rota", {"channel": "sms", "delivery": "1"}, to=path)
        assert answer.status_code == 403
