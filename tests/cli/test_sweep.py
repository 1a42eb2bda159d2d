"""`hearthline sweep`: one pass, with its counts as JSON."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from service import clock, db
from service.actions.delivery import claims
from service.cli import main
from service.models.campaigns import CampaignKind, Delivery
from tests.actions.engine import claim, start
from tests.flows.world import add_member

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def sweep() -> dict[str, int]:
    result = CliRunner().invoke(main, ["sweep"])
    assert result.exit_code == 0, result.output
    found: dict[str, int] = json.loads(result.stdout)
    return found


def test_it_counts_what_it_found_and_obeys_leases_and_graces(database: db.Database) -> None:
    assert sweep() == {"expired": 0}
    add_member("Ana", None, "ana@example.org")
    start(CampaignKind.TOOL, "", mail="Breathe.", override=True)
    assert claims.mark_sending(claim("emails"), db.uuid7())
    assert sweep() == {"expired": 0}, "the worker may still be at it"
    with db.transaction() as session:
        long_ago = clock.now() - timedelta(hours=1)
        session.execute(update(Delivery).values(sending_at=long_ago, claimed_until=long_ago))
    assert sweep() == {"expired": 1, "unsettled": 1}, "no event has come about any email: silence proves nothing"
