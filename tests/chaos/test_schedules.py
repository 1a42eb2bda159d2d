"""Campaigns on both channels while workers are killed, Redis forgets, the database crashes and the provider does what
providers do: by the provider's own record everybody gets one copy, nobody a second, and ours agrees with it.

Two schedules run here with every `make test`; `make chaos` plays fifty new ones, and any one again by its seed.
"""

import pytest

from tests.chaos.play import Play
from tests.chaos.schedules import Schedule, chosen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "schedule"),
    [pytest.param(s.database, s, id=f"{s.database}-{s.seed}") for s in chosen()],
    indirect=["database"],
)
def test_each_leaves_exactly_once_whatever_dies(play: Play, schedule: Schedule) -> None:
    print(schedule)
    try:
        play.run()
    except BaseException:
        print(play.crew.log.read_text()[-6000:] if play.crew.log.exists() else "")
        raise
    finally:
        print("\n".join(play.story))
