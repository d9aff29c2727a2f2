"""Who decides the head-to-heads: a judge, a language model, or people; and when a model is no judge."""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.axes import Axes
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.evaluation import ratings
from cai_kedro.pipelines.evaluation.head_to_heads import SELF_JUDGED, admit_referee_of, decide_head_to_heads
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from tests.pipelines.builders import AXES, axis_table
from tests.pipelines.test_evaluation import FirstWordJudge, parameters, prompts


class LongerWins:
    """Decides many at a time by length; nobody compared at the prompt `red1`."""

    def __init__(self, digest: str | None = None) -> None:
        self._digest = digest

    def digest(self) -> str | None:
        return self._digest

    def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
        longer = np.sign(meetings["response_a"].str.len() - meetings["response_b"].str.len())
        return np.where(meetings["prompt_id"] == "red1", np.nan, (longer + 1) / 2)


def answers(words: dict[str, str], ids: list[str]) -> pd.DataFrame:
    rows = [(i, 0, policy, word) for policy, word in words.items() for i in ids]
    return pd.DataFrame(rows, columns=["prompt_id", "sample", "policy", "response"])


def decide(answered: pd.DataFrame, red: pd.DataFrame, helpful: pd.DataFrame, referee: Any, seed: int) -> pd.DataFrame:
    asked = axis_table(harmlessness=red, helpfulness=helpful)
    return decide_head_to_heads(answered, pd.concat([red, helpful]), asked, AXES, seed, by_referee=referee)


def params(n_bootstrap: int = 100, **elo: Any) -> EvaluationParams:
    whole = {"allow_training_judge": False, **elo}
    return EvaluationParams.model_validate(parameters(elo=whole, n_bootstrap=n_bootstrap))


def summarise(policies: list[str], params: EvaluationParams, *metrics: Any) -> pd.DataFrame:
    return ratings.summarise(pd.DataFrame({"policy": policies}), params, AXES, *metrics)


def test_a_referee_decides_all_and_what_it_leaves_open_is_left_out() -> None:
    red, helpful = prompts("red", 3), prompts("helpful", 2)
    answered = answers({"b": "no", "a": "yes indeed"}, [*red["prompt_id"], *helpful["prompt_id"]])
    played = check_table("head_to_heads", decide(answered, red, helpful, LongerWins(), 0))
    assert played["prompt_id"].tolist() == ["helpful0", "helpful1", "red0", "red2"]
    assert played["criterion"].tolist() == ["helpfulness"] * 2 + ["harmlessness"] * 2
    assert set(zip(played["policy_a"], played["policy_b"], played["outcome"], strict=True)) == {("a", "b", 1.0)}


def test_a_judge_and_a_referee_of_the_same_taste_agree() -> None:
    red, helpful = prompts("red", 5), prompts("helpful", 0)
    answered = answers({"a": "comply", "b": "objection", "c": "comply"}, red["prompt_id"].tolist())

    class Same(LongerWins):
        def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
            rank = {"comply": 0, "objection": 1}
            gap = meetings["response_a"].map(rank) - meetings["response_b"].map(rank)
            return ((np.sign(gap) + 1) / 2).to_numpy()

    by_judge, by_referee = (decide(answered, red, helpful, who, 4) for who in (FirstWordJudge(), Same()))
    pd.testing.assert_frame_equal(by_judge, by_referee)


def test_each_axis_is_decided_by_the_entry_that_it_names() -> None:
    red, helpful = prompts("red", 3), prompts("helpful", 2)
    answered = answers({"b": "objection", "a": "comply at length"}, [*red["prompt_id"], *helpful["prompt_id"]])
    axes = Axes.model_validate(
        {**AXES.model_dump(), "harmlessness": {**AXES.model_dump()["harmlessness"], "raters": "people"}}
    )
    asked = axis_table(harmlessness=red, helpfulness=helpful)
    seen = []

    class Shorter(LongerWins):
        def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
            seen.extend(meetings["criterion"])
            return 1 - super().decide(meetings, seed)

    both = {"by_referee": LongerWins(), "by_people": Shorter()}
    played = decide_head_to_heads(answered, pd.concat([red, helpful]), asked, axes, 0, **both)
    assert played["prompt_id"].tolist() == ["helpful0", "helpful1", "red0", "red2"]
    assert played["outcome"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert set(seen) == {"harmlessness"}
    alone = decide_head_to_heads(answered, pd.concat([red, helpful]), asked, axes, 0, by_referee=LongerWins())
    assert set(alone["criterion"]) == {"helpfulness"}


admit_both = admit_referee_of(("pretrained", "helpful_rlhf"), {"referee": ["helpfulness"], "people": ["harmlessness"]})


def test_every_referee_is_looked_at_and_marks_its_own_axes() -> None:
    with pytest.raises(
        ValueError, match=r"the referee 'people' is the model 'pretrained'.*another model under `people`"
    ):
        admit_both(params(), LongerWins("z"), LongerWins("x"), "x", "y")
    admitted = admit_both(params(allow_training_judge=True), LongerWins("z"), LongerWins("x"), "x", "y")
    assert {name: told["value"] for name, told in admitted.items()} == {
        SELF_JUDGED: 0.0, f"{SELF_JUDGED}.harmlessness": 1.0
    }  # fmt: skip
    red = prompts("red", 20)
    played = pd.concat(
        pd.DataFrame({"prompt_id": red["prompt_id"], "policy_a": "helpful_rlhf", "policy_b": "rl_cai"}).assign(
            criterion=axis, outcome=[float(i < 12) for i in range(20)]
        )
        for axis in AXES.measured
    )
    elo = ratings.rate_policies(played, red, params(), 0, admitted, reference="helpful_rlhf")
    assert "elo_by_training_judge.harmlessness.rl_cai" in elo
    assert "elo.helpfulness.rl_cai" in elo
    metrics = set(summarise(["rl_cai"], params(), elo)["metric"])
    assert metrics == {"harmlessness_elo_by_training_judge", "helpfulness_elo"}


def admit(referee: Any, params: EvaluationParams, *digests: str) -> dict[str, Any]:
    return admit_referee_of(("pretrained", "helpful_rlhf"), AXES.deciders)(params, referee, *digests)


def test_the_training_judge_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the referee is the model 'helpful_rlhf'.*allow_training_judge=true"):
        admit(LongerWins("x"), params(), "y", "x")


@pytest.mark.parametrize("referee", [LongerWins("z"), LongerWins(None), FirstWordJudge()])
def test_others_are_admitted(referee: Any) -> None:
    assert admit(referee, params(), "x", "y")[SELF_JUDGED]["value"] == 0


def test_the_accuracy_of_a_referee_that_learned_from_people_is_a_metric() -> None:
    class Measured(LongerWins):
        def conversations(self) -> set[Any]:
            return set()

        def accuracy(self) -> dict[str, Any]:
            told = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 90}
            return {"harmlessness": told, "decided_by_nobody": told}

    admitted = admit(Measured(), params(), "x", "y")
    assert admitted["referee.accuracy.harmlessness"] == {"value": 0.7, "low": 0.6, "high": 0.8, "n": 90}
    assert "referee.accuracy.decided_by_nobody" not in admitted
    assert [name for name in admit(LongerWins(), params(), "x", "y") if "accuracy" in name] == []


def test_insisting_marks_the_ratings(caplog: pytest.LogCaptureFixture) -> None:
    insisting = params(allow_training_judge=True)
    with caplog.at_level(logging.WARNING, logger="cai_kedro"):
        admitted = admit(LongerWins("x"), insisting, "x", "y")
    assert "which the policies learned from: ratings are marked" in caplog.text
    red = prompts("red", 30)
    played = pd.DataFrame(
        {"prompt_id": red["prompt_id"], "policy_a": "helpful_rlhf", "policy_b": "rl_cai", "criterion": "harmlessness"}
    ).assign(outcome=[float(i < 20) for i in range(30)])
    elo = ratings.rate_policies(played, red, insisting, 0, admitted, reference="helpful_rlhf")
    assert elo
    assert all(name.startswith("elo_by_training_judge.harmlessness.") for name in elo)
    gaps = ratings.compare_neighbours(played, insisting, 0, admitted, reference="helpful_rlhf")
    assert set(gaps) == {
        f"elo_gap{kind}_by_training_judge.harmlessness.helpful_rlhf_over_rl_cai" for kind in ("", "_p", "_more_prompts")
    }
    behaviour = {"behaviour.rl_cai.all.objects": {"value": 1.0, "low": 0.9, "high": 1.0, "n": 30}}
    summary = summarise(["rl_cai", "helpful_rlhf"], insisting, elo, gaps, behaviour)
    assert "harmlessness_elo_by_training_judge" in set(summary["metric"])
    assert "harmlessness_elo" not in set(summary["metric"])


def test_neighbours_stand_in_the_summary() -> None:
    red = prompts("red", 100)
    played = pd.DataFrame(
        {"prompt_id": red["prompt_id"], "policy_a": "helpful_rlhf", "policy_b": "rl_cai", "criterion": "harmlessness"}
    ).assign(outcome=[float(i < 40) for i in range(100)])
    gaps = ratings.compare_neighbours(played, params(n_bootstrap=5000), 0, reference="helpful_rlhf")
    assert gaps["elo_gap_more_prompts.harmlessness.rl_cai_over_helpful_rlhf"]["value"] == 97
    rows = summarise([], params(), None, gaps).set_index("metric")
    assert rows.loc["harmlessness_elo_gap_over_helpful_rlhf", "policy"] == "rl_cai"
    assert rows.loc["harmlessness_elo_gap_p_over_helpful_rlhf", "value"] == pytest.approx(0.057, abs=0.01)
    assert rows.loc["harmlessness_elo_gap_more_prompts_over_helpful_rlhf", "value"] == 97


def test_every_split_of_a_share_stands_in_the_summary() -> None:
    estimate = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 100}
    behaviour = {
        f"behaviour.rl_cai.{split}.objects": estimate for split in ("all", "combination", "act", "object", "verb")
    }
    behaviour |= {f"behaviour.rl_cai.{split}.right": estimate for split in ("all", "only")}
    rows = summarise(["rl_cai"], params(), None, None, behaviour)["metric"]
    by_split = ["objects.combination", "objects.act", "objects.object", "objects.verb"]
    assert [metric for metric in rows if "." in metric] == by_split, "one split is no split"
