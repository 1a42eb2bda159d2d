"""The engine's own steps (claim, mark, leave, record, receipt, sweep) in long random orders, with workers that die
between any two of them; `make chaos` tries hundreds.
"""

import os
from collections.abc import Callable

import pytest

from service import db
from service.config import Settings
from tests.actions.test_delivery_order import run

EXAMPLES = int(os.environ.get("HEARTHLINE_CHAOS_ORDERS", "3"))


@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLES, reason="only schedules were asked for")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_long_orders(
    database: db.Database, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(daily_cap=0, weekly_cap=0, sending_window="00:00-24:00")
    run(monkeypatch, EXAMPLES, 60)
