"""The check of a role before it works: it passes, stops the run, or lets it go on with a mark."""

from pathlib import Path

import pytest

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.engines.base import Sampling
from cai_kedro.metrics.estimate import proportion
from cai_kedro.metrics.role_check import Setting
from cai_kedro.templates.role_check import RoleCheckParams, admit, other_numbers, try_critic, try_labeller
from tests.probe_engines import ProbedEngine, always_a, knows, knows_with_examples, names, says_nothing

ENGLISH = read_constitution(Path(__file__).parents[2] / "conf" / "base" / "constitution" / "english")
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)
PARAMS = RoleCheckParams(
    pairs=24, critiques=12, min_accuracy=0.75, max_contradictions=0.5, min_naming=0.5, insist=False
)
INSIST = PARAMS.model_copy(update={"insist": True})


def test_a_labeller_that_knows_passes() -> None:
    figures, verdict = try_labeller(ProbedEngine(knows), ENGLISH, 0, True, PARAMS, 1, turned=True)
    assert verdict.passed
    assert verdict.notes == ()
    assert (figures["accuracy"]["value"], figures["accuracy_of_worse"]["value"]) == (1.0, 1.0)
    assert figures["accuracy"]["n"] == 24
    metrics = admit("labeller", figures, verdict, PARAMS, [])
    assert metrics["check.labeller.accuracy"] == figures["accuracy"]
    assert metrics["check.labeller.passed"]["value"] == 1.0


def test_a_labeller_that_always_says_a_stops_the_run_with_the_next_choice() -> None:
    figures, verdict = try_labeller(ProbedEngine(always_a), ENGLISH, 0, True, PARAMS, 1)
    few = Setting("preference_labeling.labels.few_shots=4", proportion(22, 24), passed=True)
    with pytest.raises(ValueError, match=r"the labeller is below the bar: .*order bias") as raised:
        admit("labeller", figures, verdict, PARAMS, [few])
    assert "Next best choice: set preference_labeling.labels.few_shots=4, which passes with 0.92" in str(raised.value)
    assert "check_labeller.insist=true" in str(raised.value)


def test_who_insists_goes_on_and_it_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    figures, verdict = try_labeller(ProbedEngine(always_a), ENGLISH, 0, True, INSIST, 1)
    metrics = admit("labeller", figures, verdict, INSIST, [])
    assert metrics["check.labeller.passed"] == {"value": 0.0, "low": None, "high": None, "n": 24}
    assert "it works nevertheless, because check_labeller.insist is true" in caplog.text


def test_worked_examples_can_make_the_difference() -> None:
    engine = ProbedEngine(knows_with_examples)
    assert not try_labeller(engine, ENGLISH, 0, True, PARAMS, 1)[1].passed
    assert try_labeller(engine, ENGLISH, 4, True, PARAMS, 1)[1].passed


def test_critiques_that_name_the_act_pass_and_others_do_not() -> None:
    figures, verdict = try_critic(ProbedEngine(criticise=names), ENGLISH, 0, SAMPLING, PARAMS, 1)
    assert verdict.passed
    assert figures["naming"] == proportion(12, 12)
    assert figures["naming_by_chance"]["value"] < 0.2
    figures, verdict = try_critic(ProbedEngine(criticise=says_nothing), ENGLISH, 0, SAMPLING, PARAMS, 1)
    assert figures["naming"] == proportion(0, 12)
    with pytest.raises(ValueError, match=r"the critic is below the bar: 0\.00 \[.*\(n = 12\) of its critiques"):
        admit("critic", figures, verdict, PARAMS, [])


@pytest.mark.parametrize(
    ("few_shots", "available", "others"), [(0, 6, [4]), (4, 6, [0]), (3, 6, [0, 4]), (0, 0, []), (0, 2, [2])]
)
def test_numbers_of_examples_to_try(few_shots: int, available: int, others: list[int]) -> None:
    assert other_numbers(few_shots, available) == others
