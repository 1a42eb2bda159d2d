"""A real browser before the whole world: service, stand-in providers, and workers that go on by themselves."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from service import queue
from service.actions import campaigns, conversations, delivery, housekeeping
from service.actions.conversations import media
from service.config import Settings
from tests.flows.conftest import world as world  # the same small world as in the flows
from tests.flows.world import World

SHOTS = Path(__file__).parent / "shots"
"""Screenshots of the last run, to be looked at; not kept in git."""


@pytest.fixture
def context(chromium: Browser, world: World) -> Iterator[BrowserContext]:
    """A browser window of its own, in which a script error or a broken policy fails the test.

    It is closed before the world that it looks at: pages go on asking for news.
    """
    opened = chromium.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="America/New_York"
    )
    opened.set_default_timeout(40_000)  # patience for a machine that has other things to do
    complaints: list[str] = []

    def listen(page: Page) -> None:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))

    opened.on("page", listen)
    yield opened
    opened.close()
    # A form that needs attention is answered with 422; a script in a mail is stopped by its frame: both are wanted.
    wanted = ("Blocked script execution", "Failed to load resource: the server responded with a status of 422")
    assert [c for c in complaints if not c.startswith(wanted)] == []


@pytest.fixture
def working(world: World, configure: Callable[..., Settings]) -> Iterator[World]:
    """The world with workers that look every few moments, as the real ones do when the bell rings."""
    configure(sending_window="00:00-24:00")  # the test may run at night
    stop = threading.Event()
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                conversations.process_inbound()
                campaigns.start_due()
                for name in world.queues:
                    delivery.drain(name)
                media.fetch_waiting()
                housekeeping.run()
                stop.wait(0.1)
        except BaseException as error:
            troubles.append(error)
            raise

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield world
    stop.set()
    queue.stopping.set()
    thread.join(20)
    queue.stopping.clear()
    assert troubles == []


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page under `name`, and refuse what axe finds wrong with it."""
    SHOTS.mkdir(exist_ok=True)
    # Colours fade over from one theme to the other: only what has come to rest is judged. A fading begins with the
    # second frame after a change at the latest; before that there would be nothing to wait for.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished))")
    page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=True, caret="initial")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
