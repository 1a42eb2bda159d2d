"""The shape of the code: layers, who commits, job names, and that the product needs nothing from outside."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service import queue
from service.config import ROOT

PACKAGES = ("service", "workers")


def sources(*folders: str) -> list[Path]:
    return [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]


def test_dependencies_point_one_way() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_job_name_resolves_to_a_function_without_arguments() -> None:
    jobs = importlib.import_module("workers.jobs")
    for name in queue.JOBS:
        assert getattr(jobs, name).__code__.co_argcount == 0, name
    assert set(queue.JOBS.values()) == set(queue.QUEUES)


def opens_transactions(tree: ast.AST) -> list[int]:
    """Lines on which something commits: `transaction()`, `.commit()`, `write_session`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("transaction", "commit", "write_session"):
                found.append(node.lineno)
    return found


def test_only_actions_commit() -> None:
    allowed = {ROOT / "service" / "db.py"}
    offenders = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources(*PACKAGES)
        if "actions" not in path.parts and "sandbox" not in path.parts and path not in allowed
        for line in opens_transactions(ast.parse(path.read_text()))
    ]
    assert offenders == [], "only service.actions may commit (DESIGN section 3)"


def test_only_the_clock_reads_the_time() -> None:
    pattern = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(")
    offenders = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources(*PACKAGES)
        if path.name != "clock.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert offenders == [], "service.clock.now() is the only place that reads the time"


def test_hot_paths_have_no_offset() -> None:
    offenders = [str(p.relative_to(ROOT)) for p in sources("service") if re.search(r"\.offset\(", p.read_text())]
    assert offenders == [], "page by key, never by OFFSET"


@pytest.mark.parametrize("path", [*sources(*PACKAGES)], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    if "versions" not in path.parts and path.read_text().strip():
        assert ast.get_docstring(ast.parse(path.read_text())), "a module starts with a sentence on what it is for"


def test_pages_carry_no_inline_script_or_style_and_load_nothing_from_elsewhere() -> None:
    inline = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|<style|\sstyle=", re.IGNORECASE)
    remote = re.compile(r"""(?:src|href)=["']https?://(?!\{)""", re.IGNORECASE)
    offenders = []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        if "email" in path.relative_to(ROOT).parts:
            continue  # an email carries its own styles: it is no page of ours
        text = path.read_text()
        scripts = [m.group() for m in inline.finditer(text) if "application/json" not in m.group()]
        loads = [
            m.group() for m in re.finditer(r"<(?:script|link|img|iframe)\b[^>]*", text) if remote.search(m.group())
        ]
        offenders += [f"{path.relative_to(ROOT)}: {found}" for found in scripts + loads]
    assert offenders == []
