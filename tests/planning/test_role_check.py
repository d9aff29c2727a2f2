"""What `kedro check-labeller` tells, on scripted engines, and the command on the micro LM."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from cai_kedro.cli import cli
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.planning.role_check import Roles
from tests.checkpoints import gpt_neox
from tests.lineages import lineage
from tests.probe_engines import ProbedEngine, always_a, knows, knows_with_examples, names, says_nothing
from tests.project_copy import PROJECT, copy_project, kedro

ENGLISH = read_constitution(PROJECT / "conf" / "base" / "constitution" / "english")


def told_of(engines: dict[str, ProbedEngine], changes: dict[str, Any] | None = None) -> tuple[bool, str]:
    """Return the verdict and what is told; a role that is not named has the engine of `other`."""
    here = lineage(changes)
    parameters = {
        "preference_labeling": {"labels": {"both_orders": True, "few_shots": 0}},
        "data_generation": {
            "revision": {
                "rounds": 1,
                "few_shots": 0,
                "sampling": {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 8},
            }
        },
        "check_labeller": {
            "pairs": 24,
            "critiques": 8,
            "min_accuracy": 0.75,
            "max_contradictions": 0.5,
            "min_naming": 0.5,
            "insist": False,
        },
        "seed": 0,
    }
    played = {role: engines.get(role, engines["other"]) for role in here.roles.engines}
    lines: list[str] = []
    passed = Roles.of(played, here, ENGLISH, parameters).check(lines.append)
    return passed, "\n".join(lines)


def test_who_can_do_both_passes() -> None:
    passed, told = told_of({"other": ProbedEngine(knows, names)})
    assert passed
    assert "verdict: it can be the labeller" in told
    assert "verdict: it can be the critic" in told
    assert re.search(r"right +1\.00 \[0\.86, 1\.00\] \(n = 24\)", told)
    assert re.search(r"right when asked for the worse one +1\.00", told)
    assert re.search(r"the same letter in both orders +0\.00", told)
    assert "with no worked examples, as the run asks" in told
    assert "with 4 worked examples" in told


def test_who_always_says_a_has_order_bias_and_a_server_is_named() -> None:
    passed, told = told_of({"other": ProbedEngine(always_a, names)})
    assert not passed
    assert "verdict: it cannot be the labeller: it chooses the better answer in 0.50" in told
    assert "order bias: the mean probability of the letter A is 0.99" in told
    assert "next best choice: let a stronger model do it" in told
    assert "a server's entry of the catalog, named by lineage.roles.labeller" in told
    assert "verdict: it can be the critic" in told


def test_worked_examples_are_named_where_they_help() -> None:
    engines = {"other": ProbedEngine(always_a, names), "labeller": ProbedEngine(knows_with_examples)}
    passed, told = told_of(engines)
    assert not passed
    assert "next best choice: set preference_labeling.labels.few_shots=4, which passes with 1.00" in told
    assert "in its place" not in told


def test_another_role_is_named_where_its_model_can() -> None:
    engines = {"other": ProbedEngine(always_a, names), "assistant": ProbedEngine(knows)}
    passed, told = told_of(engines)
    assert not passed
    assert "helpful_rlhf in its place, with no worked examples" in told
    assert "next best choice: set lineage.roles.labeller=helpful_rlhf, which passes with 1.00" in told


def test_a_critic_that_names_nothing_fails_and_no_labeller_is_no_fault() -> None:
    passed, told = told_of({"other": ProbedEngine(knows, says_nothing)}, {"roles": {"labeller": None}})
    assert not passed
    assert "labeller" not in told
    assert "verdict: it cannot be the critic: 0.00" in told
    assert "named by lineage.roles.critic" in told


@pytest.mark.slow
def test_the_command_ends_with_1_below_the_bar() -> None:
    metadata = bootstrap_project(PROJECT)
    small = "check_labeller.pairs=4,check_labeller.critiques=2,data_generation.revision.sampling.max_new_tokens=8"
    done = CliRunner().invoke(cli, ["check-labeller", "--params", small], obj=metadata)
    assert done.exit_code == 1, done.output
    assert "it cannot be the critic" in done.output
    assert Path(PROJECT / "data" / "08_reporting" / "critic_check_metrics.json").exists() is False
    wrong = CliRunner().invoke(cli, ["check-labeller", "--params", "check_labeller.pairs=1"], obj=metadata)
    assert wrong.exit_code == 1
    assert "check_labeller.pairs" in wrong.output


@pytest.mark.slow
def test_a_model_that_a_role_names_is_asked_before_any_run_has_provided_it(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    gpt_neox(tmp_path / "judge")
    small = "check_labeller.pairs=4,check_labeller.critiques=2,data_generation.revision.sampling.max_new_tokens=8"
    params = f"--params={small},lineage.roles.labeller="
    asked = kedro(project, "check-labeller", f"{params}{tmp_path / 'judge'}")
    assert asked.returncode == 1, f"{asked.stdout}\n{asked.stderr}"
    assert f"labeller: {tmp_path / 'judge'}" in asked.stdout
    assert "labeller.model is not there yet" not in asked.stdout
    missing = kedro(project, "check-labeller", f"{params}{tmp_path / 'nobody'}")
    assert missing.returncode == 1
    assert "nothing was checked: labeller: " in missing.stderr
    assert str(tmp_path / "nobody") in missing.stderr
