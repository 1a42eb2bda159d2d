"""The bench itself: every row runs on both databases at a tiny size and says what it found. No speed is judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.bench import report
from service.bench.figures import Figure, Point, percentile
from service.bench.load import Call, fire, pace
from service.bench.processes import running
from service.bench.run import ROWS, Run
from service.bench.sizes import TINY
from service.bench.world import Provider
from service.config import ROOT, Settings


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings, so that the bench has to bring its own."""
    kept = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def bench(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "service.cli", "bench", *arguments]
    return subprocess.run(command, env=environment(**env), capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_row_is_measured_and_nothing_configured_is_touched(database: str, tmp_path: Path) -> None:
    configured = tmp_path / "configured"
    page = tmp_path / "performance.md"
    page.write_text(f"Above.\n{report.BEGIN}\nold\n{report.END}\nBelow.\n")
    done = bench(
        "--tiny", "--database", database, "--json", str(tmp_path / "found.json"), "--write", str(page),
        DATA_DIR=str(configured), DATABASE_URL="postgresql://nobody@127.0.0.1:9/real", REDIS_URL="redis://127.0.0.1:9/0",
        TWILIO_API_URL="http://127.0.0.1:9", DAILY_CAP="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    found = json.loads((tmp_path / "found.json").read_text())
    figures: list[dict[str, Any]] = found["figures"]
    assert {figure["row"] for figure in figures} == set(ROWS)
    assert {figure["database"] for figure in figures} == {database}
    assert all(isinstance(figure["value"], float | int) and figure["value"] >= 0 for figure in figures)
    for row in ("texts", "slow", "emails", "webhooks", "events", "answers", "freeze"):
        assert any(figure["row"] == row and figure["ceiling"] for figure in figures), f"{row} has no ceiling beside it"
    assert "NEVER CAME" not in json.dumps(figures)
    (claim,) = [figure["what"] for figure in figures if figure["row"] == "plans"]
    assert int(claim.split()[-1].replace(",", "")) >= TINY.deliveries, "most of the table is campaigns that are over"
    plans = [line for plan in found["plans"] for line in plan["lines"]]
    assert plans
    if database == "sqlite":  # PostgreSQL reads so small a table whole
        assert any("ix_deliveries_due" in line for line in plans)

    assert all(figure["what"] in done.stdout for figure in figures)
    text = page.read_text()
    assert (text[:6], text[-7:]) == ("Above.", "Below.\n")
    assert "old" not in text
    assert "<polyline" in (tmp_path / report.PICTURE).read_text()
    assert not configured.exists() or not any(configured.iterdir())


def test_a_row_that_does_not_exist_is_named() -> None:
    done = bench("--rows", "texts,txets")
    assert done.returncode == 1
    assert "txets" in done.stderr
    assert "answers" in done.stderr, "it says which rows there are"


def test_the_sink_counts_and_notes_who_was_answered(tmp_path: Path) -> None:
    url_of_texts = "/2010-04-01/Accounts/AC0/Messages.json"
    form = ("Content-Type: application/x-www-form-urlencoded",)
    with running(["service.bench.sink", "20"], environment(), tmp_path, piped=True) as child:
        url = f"http://127.0.0.1:{child.line()}"
        provider = Provider(url, child)
        provider.watch(["+12015550101"])
        copies = [Call(url + url_of_texts, form, b"To=%2B12015550101&Body=Bench%2C+for+Ada") for _ in range(40)]
        answer = Call(url + url_of_texts, form, b"To=%2B12015550101&Body=You+are+not+alone")
        big = json.dumps(
            {"personalizations": [{"to": [{"email": f"{n}@example.org"}]} for n in range(1000)]}, separators=(",", ":")
        )
        fired = fire([*copies, answer], 8)
        mail = fire(
            [Call(f"{url}/v3/mail/send", ("Content-Type: application/json",), big.encode() + b" " * 900_000)], 1
        )
        counts = provider.counts()
    assert fired.statuses == {201: 41}
    assert mail.statuses == {202: 1}
    assert min(fired.times) >= 0.02, "it answers after its latency"
    assert counts["requests"] == 42
    assert counts["recipients"] == 1041
    assert list(counts["seen"]) == ["+12015550101"]


def test_calls_at_a_pace_do_not_wait_for_one_another(tmp_path: Path) -> None:
    url_of_texts, form = "/2010-04-01/Accounts/AC0/Messages.json", ("Content-Type: application/x-www-form-urlencoded",)
    with running(["service.bench.sink", "500"], environment(), tmp_path, piped=True) as child:
        url = f"http://127.0.0.1:{child.line()}"
        call = Call(url + url_of_texts, form, b"To=%2B12015550101&Body=hello")
        together = pace([call] * 10, 20)
        one_by_one = pace([call] * 4, 20, most=1)
    assert together.statuses == {201: 10}
    assert 0.9 <= together.seconds < 10 * 0.5, "the last begins after 450 ms, whatever the first waits for"
    assert one_by_one.statuses == {201: 4}
    assert one_by_one.seconds >= 2.0
    assert max(one_by_one.times) > 1.8, "what had to wait for its turn counts from when it was due"


def test_figures_know_how_near_they_came() -> None:
    rate = Figure("texts", "sqlite", "1 worker", 5_000, "msg/s", "libcurl", 20_000, goal=6_000)
    assert (rate.ratio, rate.met) == (0.25, False)
    wait = Figure("freeze", "sqlite", "a million", 2.0, "s", "bare", 1.0, goal=3.0, at_least=False)
    assert (wait.ratio, wait.met) == (0.5, True)
    table = report.table([rate, wait])
    assert [word for word in ("25%", "missed", "50%", "met") if word not in table] == []
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0


def test_the_page_needs_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="bench: begin"):
        report.write(Run({}, [], [Point("sqlite", 1, 1, 1, 1, 1)], []), page)
