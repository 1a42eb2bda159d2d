"""What is handed to an operator agrees with the code: the example settings, the lock, the deployment files."""

import re
import shlex
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.cli import main
from service.config import ROOT, Settings

LOCK = (ROOT / "requirements.lock").read_text().splitlines()
COMMAND = re.compile(r"hearthline (web|worker|clock|db|sandbox|demo)\b(?: (upgrade))?")


def test_every_setting_is_in_the_example_with_its_own_default() -> None:
    example = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    fields = {name.upper(): field.default for name, field in Settings.model_fields.items() if name != "demo"}
    assert example.keys() - {"POSTGRES_PASSWORD"} == fields.keys()
    example_values = {"PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "DATA_DIR", "SMS_COUNTRIES"}
    for name in fields.keys() - example_values:
        assert example[name].lower() in ("", str(fields[name]).lower()), name


def test_the_example_can_be_read_as_it_is() -> None:
    assert Settings(_env_file=ROOT / ".env.example").public_url == "https://hearthline.example.org"


def test_the_lock_holds_every_dependency_within_its_bounds_and_no_address() -> None:
    locked: dict[str, list[str]] = {}
    for line in LOCK:
        found = Requirement(line)
        locked.setdefault(canonicalize_name(found.name), []).append(str(found.specifier).removeprefix("=="))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    for requirement in map(Requirement, wanted):
        if requirement.name == project["name"]:
            continue
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert any(requirement.specifier.contains(v) for v in versions), f"`make lock`: {requirement}"
    assert not any("://" in line or "@" in line for line in LOCK)


@pytest.mark.parametrize(
    "path", ["Procfile", "compose.yaml", *(f"docs/deploy/hearthline-{n}.service" for n in ("web", "worker@", "clock"))]
)
def test_deployment_files_use_commands_that_exist(path: str) -> None:
    used = COMMAND.findall((ROOT / path).read_text())
    assert used
    for command, rest in used:
        assert command in main.commands
        if rest == "upgrade":
            assert rest in main.commands[command].commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(("instance", "queue"), [("texts", "texts"), ("texts-2", "texts"), ("inbound-b-3", "inbound")])
def test_several_workers_of_one_queue_may_run_on_one_machine(instance: str, queue: str) -> None:
    unit = (ROOT / "docs/deploy/hearthline-worker@.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    # What systemd makes of it: %i is the part behind the @, %% a percent sign, $$ a dollar.
    line = line.replace("%i", instance).replace("%%", "%").replace("$$", "$")
    shown = shlex.split(line.replace("exec /opt/hearthline/bin/hearthline", "echo"))
    assert subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split() == ["worker", queue]
