"""The evaluation on scripted engines and a judge that reads an answer's first word."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from pydantic import ValidationError

from cai_kedro.core.axes import Axes
from cai_kedro.core.conversation import Conversation, user
from cai_kedro.core.exam import Exam
from cai_kedro.core.judging import LOOK_ALIKE, Judgement
from cai_kedro.core.lineage import Lineage
from cai_kedro.core.schemas import check_table
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.datasets.lm_eval_dataset import LmEvalDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import with_score_head
from cai_kedro.metrics.bradley_terry import elo_gap
from cai_kedro.metrics.estimate import proportion
from cai_kedro.pipelines.evaluation import (
    answers,
    create_pipeline,
    exam,
    head_to_heads,
    judgements,
    labels,
    ratings,
    revisions,
)
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from tests.lineages import LINEAGE, lineage
from tests.pipelines.builders import AXES, axis_table, constitution, made_of, pair_table

PARAMETERS = Path(__file__).parents[2] / "conf" / "base" / "parameters_evaluation.yml"
HARMLESSNESS = {"objection": 4.0, "weak": 2.5, "evasive": 2.3, "comply": 0.0}
HELPFULNESS = {"right": 4.0, "wrong": 1.5}
#: Tables of no common kind.
NO_KIND = (
    "policy_summary", "preference_test_cases", "hard_test_cases", "hard_test_accuracy", "label_reliability",
    "not_measured",
)  # fmt: skip
#: What each scripted policy answers to a red-team prompt and to a helpful one.
HABITS = {
    "pretrained": ("weak", "wrong"),
    "helpful_rlhf": ("comply", "right"),
    "hh_rlhf": ("evasive", "wrong"),
    "sl_cai": ("objection", "right"),
    "rl_cai": ("objection", "right"),
    "rl_cai_cot": ("objection", "right"),
}


class FirstWordJudge:
    """Takes the first word of an answer for its behaviour; without noise. Counts what it is asked."""

    def __init__(self) -> None:
        self.preferred: list[tuple[str, str]] = []

    def judge(self, messages: Conversation, response: str) -> Judgement:
        word = response.split(maxsplit=1)[0]
        ratings = {"harmlessness": HARMLESSNESS.get(word, 0.5), "helpfulness": HELPFULNESS.get(word, 0.0)}
        return Judgement(word, "theft", ratings)

    def prefer(self, messages: Conversation, a: str, b: str, axis: str, rng: random.Random) -> float:
        self.preferred.append((a, b))
        gap = self.judge(messages, a).rating(axis) - self.judge(messages, b).rating(axis)
        return 0.5 if gap == 0 else float(gap > 0)


class PeopleWhoCompare:
    """People who like the first answer, and rate no conversations."""

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        return pairs.assign(p_a_better=1.0)


class Kept(MemoryDataset):
    """Keeps a table that the runner would drop after its last use, and makes one that is planned in shards."""

    def save(self, data: Any) -> None:
        super().save(made_of(data) if isinstance(data, ShardPlan) else data)

    def _release(self) -> None:
        pass


class PairMakingJudge(FirstWordJudge):
    """A judge that also makes pairs."""

    def test_pairs(self, n: int, seed: int) -> pd.DataFrame:
        kinds = (
            ("harmlessness", "objection>comply"),
            ("harmlessness", "objection > weak"),
            ("helpfulness", "right>wrong"),
        )
        rows = []
        for i in range(n):
            objective, contrast = kinds[i % 3]
            better, worse = contrast.replace(" ", "").split(">")
            row = {"prompt_id": f"t{i // 6}", "messages": [user("How?")], "objective": objective, "contrast": contrast}
            rows.append({**row, "better": f"{better} it.", "worse": f"{worse} it."})
        return pd.DataFrame(rows)


@pytest.fixture
def params() -> EvaluationParams:
    return EvaluationParams.model_validate(parameters())


def parameters(**changed: Any) -> dict[str, Any]:
    shipped = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["evaluation"]
    return {**shipped, "n_bootstrap": 100, **changed}


def prompts(prefix: str, n: int, splits: Sequence[str] = ("act", "combination")) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "prompt_id": [f"{prefix}{i}" for i in range(n)],
            "messages": [[user(f"{prefix} question {i}?")] for i in range(n)],
            "source": "given",
            "split": [splits[i % len(splits)] for i in range(n)],
        }
    )
    return check_table("prompts", table)


def habit(policy: str) -> Callable[[str, int], str]:
    harmful, benign = HABITS[policy]
    return lambda prompt, seed: f"{harmful if 'red' in prompt else benign} {seed % 1000}."


def fake_scores(
    pm: Any, conversations: Sequence[Conversation], responses: Sequence[str], batch_size: int
) -> np.ndarray:
    return np.array([{**HARMLESSNESS, **HELPFULNESS}.get(text.split(maxsplit=1)[0], 0.0) for text in responses])


def revision_tables(red: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Critiques lead over `weak` to `objection`; direct revisions stop at `weak`."""
    ids = red["prompt_id"]
    initial = pd.DataFrame({"prompt_id": ids, "sample": 0, "policy": "helpful_rlhf", "response": "comply."})
    initial["response"] = "comply so."

    def steps(words: Sequence[str]) -> pd.DataFrame:
        rows = [
            {"prompt_id": i, "sample": 0, "step": k, "principle_id": "c1", "critique": None, "revision": f"{word} so."}
            for k, word in enumerate(words, 1)
            for i in ids
        ]
        return check_table("revisions", pd.DataFrame(rows))

    return {
        "initial_responses": check_table("responses", initial),
        "revisions": steps(["comply", "weak", "objection", "objection"]),
        "direct_revisions": steps(["comply", "weak", "weak", "comply"]),
    }


def comparisons(rows: list[tuple[str, str, float, float]], source: str = "ai") -> pd.DataFrame:
    """Rows of answer A, answer B and P(A better) in the two option orders."""
    table = pd.DataFrame(
        {
            "pair_id": [f"{source}{i}" for i in range(len(rows))],
            "prompt_id": [f"p{i}" for i in range(len(rows))],
            "messages": [[user("red?")] for _ in rows],
            "response_a": [row[0] for row in rows],
            "response_b": [row[1] for row in rows],
            "kind": "sampled",
            "objective": "harmlessness",
            "source": source,
            "principle_id": "p1",
            "p_a_better": [(row[2] + row[3]) / 2 for row in rows],
            "p_a_first": [row[2] for row in rows],
            "p_a_second": [row[3] for row in rows],
            "thoughts": None,
        }
    )
    return check_table("comparisons", table)


def signals(red: pd.DataFrame, helpful: pd.DataFrame) -> pd.DataFrame:
    """Two snapshots' replies: at the start they comply, later they object; the last one's score rises."""
    tables = []
    for step, word in ((0, "comply"), (10, "objection")):
        ids = pd.concat([red, helpful])["prompt_id"]
        table = pd.DataFrame({"step": step, "prompt_id": ids, "response": f"{word} so.", "tokens": 3, "ended": 1.0})
        tables.append(table.assign(pm_score=float(step), kl=step / 10))
    return check_table("signals", pd.concat(tables))


LABELLED = [
    ("objection a.", "comply b.", 0.9, 0.7),  # right in both orders
    ("comply a.", "objection b.", 0.6, 0.2),  # wrong where A comes first, right on average
    ("weak a.", "comply b.", 0.3, 0.1),  # wrong
    ("weak a.", "evasive b.", 0.9, 0.9),  # rated too close to count
]


def everything(scripted_engine: Any, params: EvaluationParams) -> dict[str, Any]:
    """All that the evaluation reads, by dataset, from scripted policies."""
    red, helpful = prompts("red", 12), prompts("helpful", 8)
    return {
        "eval_red_team_prompts": red,
        "eval_helpful_prompts": helpful,
        "red_team_prompts": red,
        **revision_tables(red),
        "constitution": constitution(),
        "ai_comparisons": comparisons(LABELLED),
        "ai_cot_comparisons": comparisons(LABELLED, "ai_cot"),
        "judge": PairMakingJudge(),
        "referee": FirstWordJudge(),
        **{f"{model}@digest": model for model in LINEAGE.teachers.values()},
        "params:evaluation": params,
        "params:axes": AXES,
        "params:harmfulness": None,  # nobody rates here, so nothing is trained
        "params:training": None,
        "params:seed": 7,
        "params:shards": ShardParams(prompts=5, max_quarantined=0.0),
        **{f"{model}@engine": scripted_engine(habit(policy)) for policy, model in LINEAGE.evaluated.items()},
        **{f"{arm}.preference.model@checkpoint": object() for arm in LINEAGE.arms},
        **{f"{arm}.snapshots@engine": {k: scripted_engine(habit(arm)) for k in (10, 20)} for arm in LINEAGE.arms},
        **{f"{arm}.snapshot_signals": signals(red, helpful) for arm in LINEAGE.arms},
        **{f"{arm}.snapshot_choice": pd.DataFrame({"step": [0, 10], "kept": [False, True]}) for arm in LINEAGE.arms},
        **{f"{arm}.rl_prompts": pd.concat([red, helpful]) for arm in LINEAGE.arms},
        "benchmark_answers": LmEvalDataset(filepath=None).load(),
        "given_red_team_prompts": red,
        "hard_comparisons": comparisons(LABELLED),
        "human_red_team_pairs": pair_table([("a", "b")]),
        "human_raters": PeopleWhoCompare(),
        "pretrained.model@checkpoint": object(),
    }


#: What the pipelines before the evaluation make, as far as it asks.
MADE_BEFORE = frozenset(
    {
        "initial_responses", "revisions", "direct_revisions", "ai_comparisons", "ai_cot_comparisons",
        "human_red_team_pairs", *(f"{arm}.preference.model" for arm in LINEAGE.arms),
    }
)  # fmt: skip


def pipeline_of(exam: Exam, lineage: Lineage = LINEAGE, made: frozenset[str] = MADE_BEFORE) -> Pipeline:
    return create_pipeline(lineage, exam, made)


def outcome_of(pipeline: Pipeline, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a pipeline on its inputs; returns what it made by name, and all metrics."""
    assert pipeline.inputs() <= set(inputs)
    stored = {name: Kept() for name in sorted(pipeline.all_outputs())}
    given = {name: MemoryDataset(inputs[name], copy_mode="assign") for name in pipeline.inputs()}
    SequentialRunner().run(pipeline, DataCatalog({**given, **stored}))
    out = {name: dataset.load() for name, dataset in stored.items()}
    for name, table in out.items():
        if name in NO_KIND:
            continue
        if isinstance(table, pd.DataFrame):
            kinds = ("head_to_heads", "judgements", "responses", "prompts", "scores", "ratings", "axes", "pairs")
            kind = next(kind for kind in kinds if name.endswith(kind))
            pd.testing.assert_frame_equal(check_table(kind, table), table, check_dtype=False)
    return out, {
        name: estimate for table in out.values() if isinstance(table, dict) for name, estimate in table.items()
    }


@pytest.fixture
def fake_preference_models(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (revisions, labels):
        monkeypatch.setattr(room, "score_responses", fake_scores)


@pytest.mark.usefixtures("fake_preference_models")
def test_without_a_judge_the_rest_is_measured(scripted_engine: Any, params: EvaluationParams) -> None:
    pipeline = pipeline_of(Exam(AXES, judge=False))
    assert "judge" not in pipeline.inputs()
    out, metrics = outcome_of(pipeline, everything(scripted_engine, params))
    kinds = {name.partition(".")[0] for name in metrics}
    assert {"elo", "elo_gap", "snapshot_elo", "pm_score", "label", "over_training"} <= kinds
    assert not {"behaviour", "revisions", "transparency", "harm_gaps", "pm_accuracy"} & kinds
    assert {name.rpartition(".")[2] for name in metrics if name.startswith("label.ai.")} == {
        "spread", "order_effect", "order_flips", "first_option_bias",
    }  # fmt: skip
    assert metrics["label.ai.spread"]["value"] == pytest.approx((0.3 + 0.1 + 0.3 + 0.4) / 4)
    assert set(out["policy_summary"]["metric"][~out["policy_summary"]["metric"].str.contains("_gap")]) == {
        "harmlessness_elo", "helpfulness_elo",
    }  # fmt: skip
    lines = out["not_measured"].set_index("missing")["line"]
    assert lines["judge"].startswith("no judge: behaviour, ")
    assert lines["judge"].endswith("give one as `judge` in the catalog, see docs/guides/judging.md")


@pytest.mark.usefixtures("fake_preference_models")
def test_with_neither_judge_nor_referee_there_are_answers_and_the_run_says_so(
    scripted_engine: Any, params: EvaluationParams
) -> None:
    pipeline = pipeline_of(Exam(AXES, judge=False, referees=frozenset(), raters=False))
    assert not {"judge", "referee", "human_raters"} & pipeline.inputs()
    out, metrics = outcome_of(pipeline, everything(scripted_engine, params))
    assert {name.partition(".")[0] for name in metrics} == {"pm_score", "label", "over_training", "over_training_kept"}
    assert len(out["policy_responses"]) == 6 * 20
    assert out["policy_summary"].empty
    assert out["not_measured"]["missing"].tolist() == ["judge", "referee", "people"]


def without_rl(inputs: dict[str, Any], arms: Sequence[str]) -> dict[str, Any]:
    """What the evaluation reads where the preference models of these arms did not pass the gate."""
    changed = dict(inputs)
    for arm in arms:
        told = inputs[f"{arm}.snapshot_signals"]
        changed[f"{arm}.snapshots@engine"] = {}
        changed[f"{arm}.snapshot_signals"] = told[told["step"] == 0]
        changed[f"{arm}.snapshot_choice"] = pd.DataFrame({"step": [0], "kept": [True]})
        changed[f"{LINEAGE.model_of(arm)}@engine"] = inputs[f"{LINEAGE.model_of(LINEAGE.starts[arm])}@engine"]
    return changed


@pytest.mark.usefixtures("fake_preference_models")
def test_an_arm_behind_a_closed_gate_is_its_start_policy(scripted_engine: Any, params: EvaluationParams) -> None:
    inputs = without_rl(everything(scripted_engine, params), ["rl_cai"])
    out, metrics = outcome_of(pipeline_of(Exam(AXES)), inputs)
    assert out["evaluation.rl_cai_snapshot_responses"].empty
    assert {name.rpartition("_step_")[0] for name in out["snapshot_responses"]["policy"]} == {*LINEAGE.arms} - {
        "rl_cai"
    }
    of_arm = [name for name in metrics if "rl_cai.step_" in name]
    assert of_arm
    assert {name.partition("rl_cai.step_")[2].split(".")[0] for name in of_arm} == {"0"}
    assert not [name for name in metrics if "_change." in name and ".rl_cai" in name and ".rl_cai_cot" not in name]
    assert metrics["over_training.rl_cai.kept"] == {"value": 0, "low": None, "high": None, "n": 1}
    assert metrics["elo.harmlessness.rl_cai"]["value"] == pytest.approx(metrics["elo.harmlessness.sl_cai"]["value"])
    lines = out["not_measured"].set_index("missing")["line"]
    assert lines["gate.rl_cai"].startswith("no RL for rl_cai: its preference model is below rlhf.gate.min_accuracy")
    assert [name for name in lines.index if name.startswith("gate.")] == ["gate.rl_cai"]


@pytest.mark.usefixtures("fake_preference_models")
@pytest.mark.parametrize("exam", [Exam(AXES), Exam(AXES, judge=False), Exam(AXES, referees=frozenset())])
def test_all_gates_may_be_closed(exam: Exam, scripted_engine: Any, params: EvaluationParams) -> None:
    inputs = without_rl(everything(scripted_engine, params), LINEAGE.arms)
    out, metrics = outcome_of(pipeline_of(exam), inputs)
    assert out["snapshot_responses"].empty
    along = [name for name in metrics if ".step_" in name and not name.startswith("revisions.")]
    assert {name.partition(".step_")[2].split(".")[0] for name in along} <= {"0"}
    told = out["not_measured"]["missing"].tolist()
    assert [name for name in told if name.startswith("gate.")] == [f"gate.{arm}" for arm in LINEAGE.arms]
    assert "snapshot_elo" not in told, "the referee is not at fault"


@pytest.mark.usefixtures("fake_preference_models")
def test_given_policies_alone_are_examined(scripted_engine: Any, params: EvaluationParams) -> None:
    """Nothing is trained by RL, nobody labels and nobody revises: answers, Elo and behaviour are left."""
    given = lineage(
        {
            "helpfulness": "none",
            "policies": {name: {"given": "models/x"} for name in LINEAGE.named if name != "pretrained"},
            "roles": {"labeller": None, "thinker": None},
        }
    )
    assert given.arms == ()
    pipeline = pipeline_of(Exam(AXES), given, frozenset())
    inputs = everything(scripted_engine, params)
    inputs |= {f"{model}@engine": scripted_engine(habit(policy)) for policy, model in given.evaluated.items()}
    inputs |= {f"{model}@digest": model for model in given.teachers.values()}
    out, metrics = outcome_of(pipeline, inputs)
    assert {name.partition(".")[0] for name in metrics} >= {"elo", "behaviour"}
    assert not {"snapshot_elo", "label", "pm_score", "over_training"} & {name.partition(".")[0] for name in metrics}
    assert {"people", "along"} <= set(out["not_measured"]["missing"])


@pytest.mark.usefixtures("fake_preference_models")
def test_a_third_axis_is_one_entry(scripted_engine: Any, params: EvaluationParams) -> None:
    """It has prompts of its own, which no training is about, and is rated and decided like the others."""

    class Honest(PairMakingJudge):
        def judge(self, messages: Conversation, response: str) -> Judgement:
            known = super().judge(messages, response)
            return Judgement(
                known.behaviour, known.category, {**known.ratings, "honesty": known.ratings["helpfulness"]}
            )

    axes = Axes.model_validate(
        {**AXES.model_dump(), "honesty": {"prompts": "eval_honesty_prompts", "question": "Which is more honest?"}}
    )
    given = everything(scripted_engine, params) | {
        "params:axes": axes,
        "eval_honesty_prompts": prompts("honest", 6),
        "judge": Honest(),
        "referee": Honest(),
    }
    pipeline = pipeline_of(Exam(axes))
    assert pipeline.inputs() == set(given)
    out, metrics = outcome_of(pipeline, given)
    assert len(out["policy_responses"]) == 6 * 26
    assert set(out["policy_head_to_heads"]["criterion"]) == {"harmlessness", "helpfulness", "honesty"}
    assert metrics["elo.honesty.rl_cai"]["n"] == 6
    assert metrics["elo.honesty.rl_cai"]["value"] == pytest.approx(0, abs=1e-6), "right, like the reference"
    assert metrics["elo.honesty.hh_rlhf"]["value"] < 0
    assert metrics["snapshot_elo.honesty.hh_rlhf.step_20"]["value"] < 0
    ratings_of = out["policy_judgements"].groupby("axis")["rating"].agg("count")
    assert ratings_of.to_dict() == {"harmlessness": 72, "helpfulness": 48, "honesty": 36}
    assert "honesty_elo" in set(out["policy_summary"]["metric"])
    assert any(name.startswith("elo_gap.honesty.") for name in metrics)
    assert not [line for line in out["not_measured"]["missing"] if "honesty" in line]


@pytest.mark.usefixtures("fake_preference_models")
def test_an_axis_with_raters_of_its_own(scripted_engine: Any, params: EvaluationParams) -> None:
    class People(PairMakingJudge):
        decides_new_answers = False

    own = {"helpfulness": {**AXES.model_dump()["helpfulness"], "raters": "people"}}
    axes = Axes.model_validate({**AXES.model_dump(), **own})
    given = everything(scripted_engine, params) | {"params:axes": axes, "people": People()}
    out, metrics = outcome_of(pipeline_of(Exam(axes, referees=frozenset({"referee", "people"}))), given)
    assert {"elo.harmlessness.rl_cai", "elo.helpfulness.rl_cai"} <= set(metrics)
    assert {name.split(".")[1] for name in metrics if name.startswith("snapshot_elo.")} == {"harmlessness"}
    assert [name for name in out["not_measured"]["missing"] if "elo" in name] == ["snapshot_elo.helpfulness"]

    alone = pipeline_of(Exam(axes))
    assert "people" not in alone.inputs()
    out, metrics = outcome_of(alone, given)
    assert {name.split(".")[1] for name in metrics if name.startswith("elo.")} == {"harmlessness"}
    lines = out["not_measured"].set_index("missing")["line"]
    assert [name for name in lines.index if "elo" in name or "referee" in name] == ["referee.people"]
    assert lines["referee.people"] == (
        "no people: Elo of the policies and along RL is not measured on helpfulness; give one as `people` in the "
        "catalog, see docs/guides/judging.md"
    )


class LookAlikeJudge(FirstWordJudge):
    """Finds that some requests only look harmful."""

    def __init__(self, like: str) -> None:
        super().__init__()
        self.like = like

    def judge(self, messages: Conversation, response: str) -> Judgement:
        like = messages[-1]["content"].startswith(self.like)
        return replace(super().judge(messages, response), category=LOOK_ALIKE if like else "theft")


@pytest.mark.usefixtures("fake_preference_models")
def test_over_refusal_is_a_share_of_look_alikes_which_are_no_harmful_prompts(
    scripted_engine: Any, params: EvaluationParams
) -> None:
    given = everything(scripted_engine, params)
    out, metrics = outcome_of(pipeline_of(Exam(AXES)), given)
    assert not [name for name in metrics if "look_alike" in name or "over_refusal" in name]
    asked = given["eval_red_team_prompts"]["messages"].map(lambda messages: messages[0]["content"])
    like = asked.iloc[0][:-1]
    n = int(asked.str.startswith(like).sum())
    out, metrics = outcome_of(pipeline_of(Exam(AXES)), given | {"judge": LookAlikeJudge(like)})
    of = {policy: metrics[f"behaviour.{policy}.all.over_refusal"] for policy in ("hh_rlhf", "helpful_rlhf")}
    assert [(share["value"], share["n"]) for share in of.values()] == [(1, n), (0, n)]
    assert metrics["behaviour.hh_rlhf.all.evasive"]["n"] == len(asked) - n
    summary = out["policy_summary"].set_index(["policy", "metric"])
    assert summary.loc[("hh_rlhf", "over_refusal"), "value"] == 1


@pytest.mark.usefixtures("fake_preference_models")
def test_a_judge_of_behaviours_alone_and_one_that_leaves_an_axis_out(
    scripted_engine: Any, params: EvaluationParams
) -> None:
    class BehavioursOnly:
        def judge(self, messages: Conversation, response: str) -> Judgement:
            return Judgement(response.split(maxsplit=1)[0])

    given = everything(scripted_engine, params)
    out, metrics = outcome_of(pipeline_of(Exam(AXES)), given | {"judge": BehavioursOnly()})
    assert metrics["behaviour.hh_rlhf.all.evasive"]["value"] == 1
    assert metrics["revisions.critique.objects.step_3"]["value"] == 1
    assert "label.ai.spread" in metrics
    assert not [name for name in metrics if ".harmless." in name or name.startswith("harm_gaps")]
    assert set(out["not_measured"]["missing"]) >= {
        "reasons", "harms", "test_pairs", "ratings.harmlessness", "ratings.helpfulness",
    }  # fmt: skip

    class RatingsOfOneAxis:
        def judge(self, messages: Conversation, response: str) -> Judgement:
            return Judgement(ratings={"harmlessness": HARMLESSNESS.get(response.split(maxsplit=1)[0], 0.5)})

    out, metrics = outcome_of(pipeline_of(Exam(AXES)), given | {"judge": RatingsOfOneAxis()})
    assert not [name for name in metrics if name.startswith("behaviour.")]
    assert metrics["revisions.critique.harmless.step_3"]["value"] == 1
    assert "label.ai.accuracy" in metrics
    assert {"ratings.helpfulness", "behaviour"} <= set(out["not_measured"]["missing"])
    assert "ratings.harmlessness" not in set(out["not_measured"]["missing"])


@pytest.mark.usefixtures("fake_preference_models")
def test_the_whole_pipeline_runs_on_scripted_engines(scripted_engine: Any, params: EvaluationParams) -> None:
    inputs = everything(scripted_engine, params)
    pipeline = pipeline_of(Exam(AXES))
    assert pipeline.inputs() == set(inputs)
    out, metrics = outcome_of(pipeline, inputs)
    assert metrics
    for name, estimate in metrics.items():
        assert list(estimate) == ["value", "low", "high", "n"], name
        assert estimate["n"] > 0, name
    assert metrics["elo.harmlessness.helpful_rlhf"]["value"] == 0
    assert metrics["elo.harmlessness.rl_cai"]["value"] > metrics["elo.harmlessness.hh_rlhf"]["value"] > 0
    assert metrics["elo.harmlessness.act.rl_cai"]["n"] == 6
    assert metrics["elo.helpfulness.rl_cai"]["n"] == 8
    assert metrics["behaviour.hh_rlhf.combination.evasive"]["value"] == 1
    assert metrics["pm_score.revision_4"]["value"] == 4
    assert metrics["pm_accuracy.rl_cai.harmlessness"]["value"] == 1
    assert metrics["snapshot_elo.harmlessness.rl_cai.step_20"]["value"] > 0
    always = metrics["over_training.rl_cai.step_10.harmlessness"]
    assert always == pytest.approx({"value": 4.0, "low": 4 * proportion(12, 12)["low"], "high": 4.0, "n": 12})

    assert out["not_measured"]["missing"].tolist() == ["reasons", "harm_ratings"]
    summary = out["policy_summary"]
    assert list(summary.columns) == ["policy", "metric", "value", "low", "high", "n"]
    assert summary["policy"].unique().tolist() == list(LINEAGE.evaluated)
    shown = summary[(summary["policy"] == "rl_cai") & ~summary["metric"].str.contains("_elo_gap_")]
    assert shown["metric"].tolist() == [
        "harmlessness_elo", "helpfulness_elo", "complies", "objects", "evasive", "right", "objects.act",
        "objects.combination", "right.act", "right.combination",
    ]  # fmt: skip
    # of the three that always object, none is ahead, and no number of prompts would tell them apart
    assert [name for name in metrics if name.startswith("elo_gap_p.harmlessness.")]
    even = [name for name in metrics if name.startswith("elo_gap_p.harmlessness.") and metrics[name]["value"] == 1]
    assert len(even) == 2
    assert not [name for name in even if name.replace("_p.", "_more_prompts.") in metrics]
    complies = summary[summary["metric"] == "complies"].set_index("policy")["value"]
    assert complies["helpful_rlhf"] == 1
    assert complies["rl_cai"] == 0


def test_all_policies_draw_with_the_same_random_numbers(scripted_engine: Any, params: EvaluationParams) -> None:
    table = prompts("red", 3)
    one, other = (
        answers.answer(policy, table, scripted_engine(lambda prompt, seed: str(seed)), params.sampling, 5).rows
        for policy in ("sl_cai", "rl_cai")
    )
    assert one["response"].tolist() == other["response"].tolist()
    assert one["response"][2] == str(derive_seed(5, "evaluation", "red2", 0))
    engine = scripted_engine(lambda prompt, seed: str(seed))
    fewer = answers.answer("sl_cai", table[:2], engine, params.sampling, 5).rows
    assert fewer["response"].tolist() == one["response"].tolist()[:2]


def test_an_empty_answer_is_kept_as_what_it_is(scripted_engine: Any, params: EvaluationParams) -> None:
    engine = scripted_engine(lambda prompt, seed: "  ")
    answered = answers.answer("sl_cai", prompts("red", 2), engine, params.sampling, 5)
    assert answered.quarantine.empty
    assert check_table("responses", answered.rows)["response"].tolist() == [answers.NO_ANSWER] * 2


def gathered(red: pd.DataFrame, helpful: pd.DataFrame, params: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    tables = {"eval_red_team_prompts": red, "eval_helpful_prompts": helpful}
    return exam.gather_eval_prompts(params, AXES, 1, **tables)


def test_two_axes_may_share_their_prompts(params: EvaluationParams) -> None:
    both = AXES.model_dump()
    both["helpfulness"] = {**both["helpfulness"], "prompts": "eval_red_team_prompts"}
    limited = EvaluationParams.model_validate(parameters(prompts={"harmlessness": 4}))
    asked, axes = exam.gather_eval_prompts(
        limited, Axes.model_validate(both), 1, eval_red_team_prompts=prompts("red", 6)
    )
    assert asked["prompt_id"].is_unique
    assert len(asked) == 6
    assert check_table("axes", axes).groupby("axis").size().to_dict() == {"harmlessness": 4, "helpfulness": 6}
    said = pd.DataFrame({"prompt_id": asked["prompt_id"], "sample": 0, "policy": "a", "response": "objection a."})
    judged = check_table("judgements", judgements.judge_responses(said, asked, axes, FirstWordJudge()))
    assert judged.groupby("axis")["rating"].agg(["size", "max"]).to_dict("index") == {
        "harmlessness": {"size": 4, "max": 4.0}, "helpfulness": {"size": 6, "max": 0.0},
    }  # fmt: skip


def test_a_parameter_about_no_axis_is_refused() -> None:
    wrong = EvaluationParams.model_validate(parameters(snapshots={"harmlesness": 4}))
    with pytest.raises(ValueError, match=r"evaluation.snapshots names the axis 'harmlesness'.*did you mean 'harmless"):
        gathered(prompts("red", 2), prompts("helpful", 2), wrong)


def test_limited_prompts_stay_when_others_are_added(params: EvaluationParams) -> None:
    limited = EvaluationParams.model_validate(parameters(prompts={"harmlessness": 4, "helpfulness": 2}))
    few, axes = gathered(prompts("red", 10), prompts("helpful", 5), limited)
    assert axes["axis"].tolist() == ["harmlessness"] * 4 + ["helpfulness"] * 2
    assert len(few) == 6
    more, _ = gathered(prompts("red", 11), prompts("helpful", 5), limited)
    assert len(set(few["prompt_id"]) & set(more["prompt_id"])) >= 5
    assert len(gathered(prompts("red", 10), prompts("helpful", 5), params)[0]) == 15


def test_a_prompt_id_in_both_tables_is_refused(params: EvaluationParams) -> None:
    with pytest.raises(ValueError, match=r"3 prompt ids stand in both .* such as 'x0'.* rename them"):
        gathered(prompts("x", 3), prompts("x", 4), params)


def judged_table(words: dict[str, str], red: pd.DataFrame, judge: FirstWordJudge) -> pd.DataFrame:
    responses = pd.concat(
        pd.DataFrame({"prompt_id": red["prompt_id"], "sample": 0, "policy": policy, "response": f"{word} {policy}."})
        for policy, word in words.items()
    )
    return judgements.judge_responses(responses, red, axis_table(harmlessness=red), judge)


def met(judged: pd.DataFrame, red: pd.DataFrame, judge: Any) -> pd.DataFrame:
    responses = judged[["prompt_id", "sample", "policy", "response"]]
    return head_to_heads.decide_head_to_heads(responses, red, axis_table(harmlessness=red), AXES, 3, by_referee=judge)


def test_who_is_read_first_is_drawn_and_does_not_matter() -> None:
    red, judge = prompts("red", 40), FirstWordJudge()
    judged = judged_table({"a": "comply", "b": "objection"}, red, judge)
    played = check_table("head_to_heads", met(judged, red, judge))
    assert set(played["outcome"]) == {0.0}
    read_first = {first.split()[1] for first, _ in judge.preferred}
    assert read_first == {"a.", "b."}


def test_adding_a_prompt_or_a_policy_changes_no_other_outcome() -> None:
    class Noisy(FirstWordJudge):
        def prefer(self, messages: Conversation, a: str, b: str, axis: str, rng: random.Random) -> float:
            return float(rng.random() < 0.5)

    red, judge = prompts("red", 30), Noisy()
    few = met(judged_table({"a": "comply", "b": "weak"}, red[:20], judge), red, judge)
    words = {"a": "comply", "aa": "weak", "b": "weak"}
    more = met(judged_table(words, red, judge), red, judge)
    both = few.merge(more, on=["prompt_id", "policy_a", "policy_b", "criterion"])
    assert len(both) == 20
    assert (both["outcome_x"] == both["outcome_y"]).all()
    assert set(few["outcome"]) == {0.0, 1.0}


def test_equal_answers_tie_without_asking() -> None:
    red, judge = prompts("red", 2), FirstWordJudge()
    table = judged_table({"a": "comply", "b": "comply"}, red, judge).assign(response="comply.")
    assert met(table, red, judge)["outcome"].tolist() == [0.5, 0.5]
    assert not judge.preferred


def test_elo_of_head_to_heads_is_that_of_the_win_rate(params: EvaluationParams) -> None:
    red = prompts("red", 400, ["only"])
    played = pd.DataFrame(
        {"prompt_id": red["prompt_id"], "policy_a": "helpful_rlhf", "policy_b": "rl_cai", "criterion": "harmlessness"}
    )
    metrics = ratings.rate_policies(
        played.assign(outcome=[float(i % 4 == 0) for i in range(400)]), red, params, 0, reference="helpful_rlhf"
    )
    assert set(metrics) == {"elo.harmlessness.helpful_rlhf", "elo.harmlessness.rl_cai"}
    assert metrics["elo.harmlessness.rl_cai"]["value"] == pytest.approx(elo_gap(0.75), abs=1)


def test_a_split_where_the_reference_never_met_anyone_is_left_out_and_named(
    params: EvaluationParams, caplog: pytest.LogCaptureFixture
) -> None:
    red = prompts("red", 40).assign(split=["act"] * 20 + ["verb"] * 20)
    everywhere = pd.DataFrame(
        {"prompt_id": red["prompt_id"], "policy_a": "rl_cai", "policy_b": "sl_cai", "criterion": "harmlessness"}
    ).assign(outcome=1.0)
    acts_only = everywhere[:20].assign(policy_a="helpful_rlhf", outcome=0.0)
    metrics = ratings.rate_policies(pd.concat([everywhere, acts_only]), red, params, 0, reference="helpful_rlhf")
    assert {name.rpartition(".")[0] for name in metrics} == {"elo.harmlessness", "elo.harmlessness.act"}
    assert "elo.harmlessness.verb is not rated: the reference policy 'helpful_rlhf' met nobody at its 20" in caplog.text


def test_policies_apart_from_the_reference_are_left_out_and_named(
    params: EvaluationParams, caplog: pytest.LogCaptureFixture
) -> None:
    red = prompts("red", 20).assign(split="act")
    played = pd.DataFrame(
        {"prompt_id": red["prompt_id"], "policy_a": "helpful_rlhf", "policy_b": "rl_cai", "criterion": "harmlessness"}
    ).assign(outcome=0.0)
    apart = played.assign(policy_a="hh_rlhf", policy_b="sl_cai")
    both = pd.concat([played, apart])
    assert set(ratings.rate_policies(both, red, params, 0, reference="helpful_rlhf")) == {
        "elo.harmlessness.helpful_rlhf",
        "elo.harmlessness.rl_cai",
    }
    assert "elo.harmlessness leaves out ['hh_rlhf', 'sl_cai']" in caplog.text
    assert set(ratings.compare_neighbours(both, params, 0, reference="helpful_rlhf")) >= {
        "elo_gap.harmlessness.rl_cai_over_helpful_rlhf"
    }
    with pytest.raises(ValueError, match="no policy can be rated: the reference policy 'helpful_rlhf' met nobody"):
        ratings.rate_policies(apart, red, params, 0, reference="helpful_rlhf")


def test_shares_over_all_prompts_stand_beside_those_of_each_split(params: EvaluationParams) -> None:
    red = prompts("red", 3)
    judged = judged_table({"sl_cai": "objection"}, red, FirstWordJudge())
    judged.loc[0, "behaviour"] = "comply"
    metrics = ratings.measure_behaviour(judged, params)
    assert metrics["behaviour.sl_cai.all.objects"]["value"] == pytest.approx(2 / 3)
    assert metrics["behaviour.sl_cai.act.objects"]["n"] == 2
    assert metrics["behaviour.sl_cai.combination.complies"]["value"] == 0
    assert "behaviour.sl_cai.all.right" not in metrics


def revision_metrics(
    tables: dict[str, pd.DataFrame], red: pd.DataFrame, params: EvaluationParams, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    monkeypatch.setattr(revisions, "score_responses", fake_scores)
    chains = revisions.gather_revised_responses(**tables, red_team_prompts=red, params=params, seed=1)
    scores = revisions.score_revisions(chains, red, object(), params)  # type: ignore[arg-type]
    judged = revisions.judge_revisions(chains, red, FirstWordJudge(), AXES)
    return revisions.measure_revisions(params, check_table("scores", scores), check_table("judgements", judged))


def test_every_round_of_revision_is_measured(params: EvaluationParams, monkeypatch: pytest.MonkeyPatch) -> None:
    red = prompts("red", 6)
    metrics = revision_metrics(revision_tables(red), red, params, monkeypatch)
    steps = [metrics[f"pm_score.revision_{k}"]["value"] for k in range(5)]
    assert steps == [0, 0, 2.5, 4, 4]
    assert [metrics[f"pm_score.revision_gain_{k}"]["value"] for k in range(1, 5)] == [b - a for a, b in pairwise(steps)]
    assert metrics["pm_score.direct_revision_4"]["value"] == 0
    assert [metrics[f"revisions.critique.harmless.step_{k}"]["value"] for k in range(5)] == [0, 0, 1, 1, 1]
    assert [metrics[f"revisions.direct.harmless.step_{k}"]["value"] for k in range(5)] == [0, 0, 1, 1, 0]
    assert metrics["revisions.critique.objects.step_3"]["value"] == 1
    assert metrics["revisions.direct.weak.step_3"]["value"] == 1
    ahead = metrics["revisions.critique_over_direct.harmless.step_4"]
    assert (ahead["value"], ahead["high"], ahead["n"]) == (1, 1, 6)
    assert 0 < ahead["low"] < 1, "six prompts that agree leave a doubt"


def test_revisions_of_look_alikes_are_not_counted_as_harmless(
    params: EvaluationParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = prompts("red", 6)
    tables = revision_tables(red)
    monkeypatch.setattr(revisions, "score_responses", fake_scores)
    chains = revisions.gather_revised_responses(**tables, red_team_prompts=red, params=params, seed=1)
    judged = revisions.judge_revisions(chains, red, LookAlikeJudge("red question 0"), AXES)
    metrics = revisions.measure_revisions(params, revision_judgements=judged)
    assert metrics["revisions.critique.harmless.step_3"]["n"] == metrics["revisions.critique.objects.step_3"]["n"] == 5
    assert metrics["revisions.critique.over_refusal.step_0"]["n"] == 1


def test_steps_are_compared_on_the_same_prompts(params: EvaluationParams, monkeypatch: pytest.MonkeyPatch) -> None:
    red = prompts("red", 6)
    tables = revision_tables(red)
    tables["direct_revisions"] = tables["direct_revisions"].query("not (prompt_id == 'red0' and step == 2)")
    second = tables["initial_responses"].assign(sample=1)
    tables["initial_responses"] = pd.concat([tables["initial_responses"], second])
    metrics = revision_metrics(tables, red, params, monkeypatch)
    assert metrics["pm_score.revision_0"]["n"] == metrics["revisions.critique.harmless.step_4"]["n"] == 5
    few = EvaluationParams.model_validate(parameters(revisions={"prompts": 3, "harmless_from": 2.0}))
    assert revision_metrics(tables, red, few, monkeypatch)["pm_score.revision_0"]["n"] == 3


def held_against(direct: pd.DataFrame, thought: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    tables = {"ai_comparisons": direct, "ai_cot_comparisons": thought}
    return dict(labels.measure_labels(params, 0, FirstWordJudge(), **tables))


def tabulated(direct: pd.DataFrame, thought: pd.DataFrame, params: EvaluationParams) -> pd.DataFrame:
    tables = {"ai_comparisons": direct, "ai_cot_comparisons": thought}
    return labels.tabulate_reliability(params, FirstWordJudge(), **tables)


def test_labels_are_held_against_the_judge(params: EvaluationParams) -> None:
    none = comparisons(LABELLED[3:], "ai_cot")
    metrics = held_against(comparisons(LABELLED), none, params)
    # one pair that the judge rates too close: nothing to be right about, but an order to be asked in
    assert {name.rpartition(".")[2] for name in metrics if name.startswith("label.ai_cot.")} == {
        "decided", "order_effect", "order_flips", "first_option_bias",
    }  # fmt: skip
    assert metrics["label.ai_cot.decided"]["value"] == 0
    assert metrics["label.ai.accuracy"]["value"] == pytest.approx(2 / 3)
    assert metrics["label.ai.accuracy"]["n"] == 3
    assert metrics["label.ai.accuracy_one_order"]["value"] == pytest.approx(1 / 3)
    assert metrics["label.ai.order_effect"]["value"] == pytest.approx((0.2 + 0.4 + 0.2 + 0) / 4)
    assert metrics["label.ai.first_option_bias"]["value"] == pytest.approx((0.2 + 0.4 + 0.2 + 0) / 4)
    # three labels show no calibration error that chance would not
    assert metrics["label.ai.ece"]["low"] == 0
    assert metrics["label.ai.ece"]["n"] == 3


def test_what_the_order_does_is_measured_over_all_pairs(params: EvaluationParams) -> None:
    """Where the judge cannot decide, the order decides: the effect over decided pairs alone is too small."""
    decided = comparisons(LABELLED[:1] * 6).assign(p_a_first=0.9, p_a_second=0.9)
    alike = comparisons(LABELLED[3:] * 4).assign(p_a_first=0.9, p_a_second=0.3)
    pairs = pd.concat([decided, alike], ignore_index=True)
    pairs = pairs.assign(pair_id=[f"pair{i}" for i in range(10)], prompt_id=[f"prompt{i // 2}" for i in range(10)])
    metrics = held_against(pairs, pairs[:0], params)
    assert metrics["label.ai.accuracy"]["n"] == 6
    assert metrics["label.ai.decided"]["value"] == pytest.approx(0.6)
    assert metrics["label.ai.order_effect"]["value"] == pytest.approx(0.4 * 0.6)
    assert metrics["label.ai.order_flips"]["value"] == pytest.approx(0.4)
    assert metrics["label.ai.first_option_bias"]["value"] == pytest.approx(0.4 * 0.6)
    assert {metrics[f"label.ai.{name}"]["n"] for name in ("decided", "order_effect", "order_flips")} == {10}
    # two pairs a prompt, both alike: the interval is that of five prompts
    assert metrics["label.ai.order_flips"]["low"] == pytest.approx(proportion(2, 5)["low"])


def test_the_error_before_the_clamp_is_that_of_both_orders(params: EvaluationParams) -> None:
    """400 labels of 0.9 that are always right, clamped to 0.6: errors of 0.1 and 0.4, within what chance does."""
    many = comparisons(LABELLED[:1] * 400, "ai_cot").assign(p_a_first=0.95, p_a_second=0.85, p_a_better=0.6)
    many = many.assign(pair_id=[f"pair{i}" for i in range(400)], prompt_id=[f"prompt{i}" for i in range(400)])
    metrics = held_against(many[:0], many, params)
    for name, error in (("ece", 0.4), ("ece_unclamped", 0.1)):
        found = metrics[f"label.ai_cot.{name}"]
        assert found["value"] == pytest.approx(error, abs=0.02)
        assert found["low"] < error < found["high"]


def test_the_reliability_of_labels_is_tabulated(params: EvaluationParams) -> None:
    clamped = comparisons(LABELLED[:1], "ai_cot").assign(p_a_better=0.6)
    table = tabulated(comparisons(LABELLED), clamped, params)
    assert list(table.columns) == ["source", "stage", "mean_p", "value", "low", "high", "n"]
    rows = table.set_index(["source", "stage"]).sort_index()
    # confidences .6 (right), .8 (right) and .8 (wrong)
    assert rows.loc[("ai", "label"), "mean_p"].tolist() == pytest.approx([0.6, 0.8])
    assert rows.loc[("ai", "label"), "value"].tolist() == [1.0, 0.5]
    assert rows.loc[("ai", "label"), "n"].tolist() == [1, 2]
    assert rows.loc[("ai_cot", "label"), "mean_p"].item() == pytest.approx(0.6)
    assert rows.loc[("ai_cot", "unclamped"), "mean_p"].item() == pytest.approx(0.8)
    nothing = tabulated(clamped[:0], clamped[:0], params)
    assert nothing.empty
    assert list(nothing.columns) == list(table.columns)


def test_labels_of_one_order_have_no_order_effect(params: EvaluationParams) -> None:
    one_order = comparisons(LABELLED).assign(p_a_second=np.nan)
    metrics = held_against(one_order, one_order, params)
    assert "label.ai.accuracy_one_order" in metrics
    assert "label.ai.order_effect" not in metrics


def test_preference_models_are_measured_by_objective_and_contrast(
    params: EvaluationParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "score_responses", lambda pm, *rest: pm * fake_scores(pm, *rest))
    cases = labels.make_test_cases(PairMakingJudge(), params, 0)
    assert len(cases) == params.preference.pairs
    assert cases["pair_id"].is_unique
    signs: dict[str, Any] = {"rl_cai": 1.0, "hh_rlhf": -1.0}
    scores = [labels.score_test_cases_of(arm)(cases, sign, params) for arm, sign in signs.items()]
    metrics = labels.measure_preference_models(cases, *scores)
    assert {name.removeprefix("pm_accuracy.rl_cai.") for name in metrics if "rl_cai" in name} == {
        "harmlessness", "helpfulness", "objection_over_comply", "objection_over_weak", "right_over_wrong",
    }  # fmt: skip
    assert metrics["pm_accuracy.rl_cai.right_over_wrong"]["value"] == 1
    assert metrics["pm_accuracy.rl_cai.harmlessness"]["n"] == params.preference.pairs * 2 // 3
    assert metrics["pm_accuracy.hh_rlhf.harmlessness"]["value"] == 0


def test_a_real_preference_model_scores_the_cases(tiny_lm: LanguageModel) -> None:
    params = EvaluationParams.model_validate(parameters(preference={"pairs": 6, "batch_size": 4}))
    model = LanguageModel(with_score_head(tiny_lm, 1.0, seed=0), tiny_lm.tokenizer)
    cases = labels.make_test_cases(PairMakingJudge(), params, 0)
    scores = check_table("scores", labels.score_test_cases_of("rl_cai")(cases, model, params))
    assert len(scores) == 12
    assert np.isfinite(scores["score"]).all()
    same = scores[scores["prompt_id"].str.contains("objection_over_comply") & (scores["sample"] == 0)]["score"]
    assert same.to_numpy() == pytest.approx(same.iloc[0], abs=1e-4)


def test_a_judge_that_makes_no_pairs_leaves_that_part_out(params: EvaluationParams) -> None:
    cases = labels.make_test_cases(FirstWordJudge(), params, 0)
    assert cases.empty
    scores = labels.score_test_cases_of("rl_cai")(cases, object(), params)  # type: ignore[arg-type]
    assert labels.measure_preference_models(cases, check_table("scores", scores)) == {}


def test_the_shipped_parameters_know_every_behaviour_once() -> None:
    shipped = EvaluationParams.model_validate(yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["evaluation"])
    assert {"complies", "objects", "evasive", "right", "over_refusal"} <= set(shipped.behaviours.names)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"summary": ["compliance"]}, "summary: no such share \\['compliance'\\]"),
        ({"summary_by_split": ["shares"]}, "summary_by_split: no such share \\['shares'\\]"),
        ({"behaviours": {"harmlessness": {"x": ["a"]}, "helpfulness": {"x": ["b"]}}}, "name of its own.*\\['x'\\]"),
        ({"n_bootstrap": 10}, "greater than or equal to 100"),
        ({"samplings": 1}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_parameters_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationParams.model_validate(parameters(**changed))
