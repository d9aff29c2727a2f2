"""Snapshots on held-out prompts, the over-training report, and the model of absolute harmfulness."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DatasetError

from cai_kedro.core.conversation import Conversation, user
from cai_kedro.core.judging import LOOK_ALIKE, Judgement
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.recorded_raters import RecordedRaters
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.metrics.bradley_terry import elo_gap
from cai_kedro.microworld.raters import SimulatedRaters
from cai_kedro.pipelines.evaluation.exam import gather_snapshot_prompts
from cai_kedro.pipelines.evaluation.harmfulness import HarmfulnessParams, rate_conversations, score_harmfulness
from cai_kedro.pipelines.evaluation.over_training import measure_over_training_of
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.snapshots import answer_along, decide_along, gather_along, rate_snapshots
from tests.adapters import WHOLE
from tests.pipelines.builders import AXES, axis_table, pair_table, prompt_table

PARAMETERS = Path(__file__).parents[2] / "conf" / "base" / "parameters_evaluation.yml"
HARMFULNESS = HarmfulnessParams.model_validate(
    {
        "prompts": None,
        "held_out_share": 0.15,
        "training": {
            "device": "cpu",
            "dtype": "float32",
            "epochs": 20,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "max_length": 256,
            "log_every": 10,
        },
    }
)


class NumberJudge:
    """An answer is as harmless and as helpful as its number; the higher one wins 3 times out of 4."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        number = float(response.rsplit(maxsplit=1)[-1])
        return Judgement("any", "theft", {"harmlessness": number, "helpfulness": number})

    def prefer(self, messages: Conversation, a: str, b: str, objective: str, rng: random.Random) -> float:
        higher = float(a.rsplit(maxsplit=1)[-1]) > float(b.rsplit(maxsplit=1)[-1])
        return float(higher == (rng.random() < 0.75))


def params(**changed: Any) -> EvaluationParams:
    shipped = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["evaluation"]
    return EvaluationParams.model_validate({**shipped, "n_bootstrap": 100, **changed})


def test_snapshots_answer_prompts_that_the_final_policies_answer(scripted_engine: Any) -> None:
    red, helpful = prompt_table(["?"] * 20, "r"), prompt_table(["!"] * 10, "h")
    limits = params(snapshots={"harmlessness": 5, "helpfulness": 3})
    asked = gather_snapshot_prompts(
        pd.concat([red, helpful]), axis_table(harmlessness=red, helpfulness=helpful), limits, AXES, 1
    )
    assert asked["prompt_id"].str[0].value_counts().to_dict() == {"r": 5, "h": 3}
    snapshots = {10: scripted_engine(lambda p, s: f"ten {s}"), 20: scripted_engine(lambda p, s: f"twenty {s}")}
    answers = check_table("responses", answer_along("rl_cai")(asked, snapshots, limits, 1))
    assert answers.groupby("policy").size().to_dict() == {"rl_cai_step_10": 8, "rl_cai_step_20": 8}
    numbers = answers["response"].str.split().str[1].to_numpy().reshape(2, 8)
    assert (numbers[0] == numbers[1]).all(), "the same random numbers"


def test_snapshots_of_all_arms_are_rated_together_with_starts_and_reference() -> None:
    red = prompt_table(["?"] * 300, "r")
    policies = {
        "rl_cai_step_10": 3, "rl_cai_step_20": 4, "rl_cai_cot_step_10": 2.5, "hh_rlhf_step_10": 2,
        "sl_cai": 2, "pretrained": 1.5, "helpful_rlhf": 1, "hh_rlhf": 4,
    }  # fmt: skip
    tables = [
        pd.DataFrame({"prompt_id": red["prompt_id"], "sample": 0, "policy": policy, "response": f"number {number}"})
        for policy, number in policies.items()
    ]
    answers = pd.concat(tables)
    along = answers["policy"].str.contains("_step_")
    starts = {"hh_rlhf": "pretrained", "rl_cai": "sl_cai", "rl_cai_cot": "sl_cai"}
    met = gather_along(starts, "helpful_rlhf")(answers[along], answers[~along], red)
    assert "hh_rlhf" not in set(met["policy"]), "neither a start nor the reference"
    played = decide_along(met, red, axis_table(harmlessness=red), AXES, 0, by_referee=NumberJudge())
    metrics = rate_snapshots(starts, "helpful_rlhf")(check_table("head_to_heads", played), {}, params(), 0)
    elo = {name.removeprefix("snapshot_elo.harmlessness."): metric for name, metric in metrics.items()}
    assert [name for name in elo if "step" in name] == [
        "hh_rlhf.step_0", "hh_rlhf.step_10", "rl_cai.step_0", "rl_cai.step_10", "rl_cai.step_20",
        "rl_cai_cot.step_0", "rl_cai_cot.step_10",
    ]  # fmt: skip
    assert elo["rl_cai.step_0"] == elo["rl_cai_cot.step_0"], "both start at SL-CAI, so at one Elo"
    assert elo["hh_rlhf.step_0"]["value"] < elo["rl_cai.step_0"]["value"], "and this one at the pretrained model"
    # whoever is better wins three times out of four, however much better: so gaps are compressed, order is not
    values = [elo[f"rl_cai.step_{k}"]["value"] for k in (0, 10, 20)]
    assert values == sorted(values)
    assert 0.5 * elo_gap(0.75) < values[0] < 1.6 * elo_gap(0.75)
    assert {metric["n"] for metric in metrics.values()} == {300}
    change = metrics["snapshot_elo_change.harmlessness.rl_cai"]
    assert change["value"] == pytest.approx(values[2] - values[0])
    assert 0 < change["low"] < change["value"] < change["high"]


def signals(scores: dict[int, float]) -> pd.DataFrame:
    tables = []
    for step, number in scores.items():
        ids = [*(f"r{i}" for i in range(6)), *(f"h{i}" for i in range(4))]
        tables.append(pd.DataFrame({"step": step, "prompt_id": ids, "response": f"number {number}", "tokens": 2}))
    return pd.concat(tables).assign(ended=1.0, pm_score=lambda t: t["step"] / 10.0, kl=lambda t: t["step"] / 5.0)


def test_the_report_sets_the_score_against_the_truth() -> None:
    """The score rises to the end, the truth falls: over-training."""
    red, helpful = prompt_table(["?"] * 6, "r"), prompt_table(["!"] * 4, "h")
    metrics = measure_over_training_of(["rl_cai"])(
        AXES,
        red[:3],
        red,
        NumberJudge(),
        rl_cai_signals=check_table("signals", signals({0: 1, 10: 4, 20: 2})),
        rl_cai_choice=pd.DataFrame({"step": [0, 10, 20], "kept": [False, True, False]}),
        rl_cai_prompts=pd.concat([red, helpful]),
    )
    assert [metrics[f"over_training.rl_cai.step_{k}.pm_score"]["value"] for k in (0, 10, 20)] == [0, 1, 2]
    assert [metrics[f"over_training.rl_cai.step_{k}.harmlessness"]["value"] for k in (0, 10, 20)] == [1, 4, 2]
    assert metrics["over_training.rl_cai.step_20.helpfulness"]["n"] == 4
    assert metrics["over_training.rl_cai.step_20.kl"]["value"] == 4
    change = {name: metrics[f"over_training_change.rl_cai.{name}"] for name in ("pm_score", "harmlessness")}
    assert {name: (each["value"], each["n"]) for name, each in change.items()} == {
        "pm_score": (1, 10), "harmlessness": (-2, 6),
    }  # fmt: skip
    assert change["harmlessness"]["high"] < 0
    assert metrics["over_training.rl_cai.kept"] == {"value": 10, "low": None, "high": None, "n": 3}
    kept = {name: metrics[f"over_training_kept.rl_cai.{name}"] for name in ("kl", "pm_score", "harmlessness")}
    assert kept == {name: metrics[f"over_training.rl_cai.step_10.{name}"] for name in kept}
    assert {"repeated_sentences", "alike"} <= {name.split(".")[-1] for name in metrics if "_kept." in name}


def test_replies_to_look_alikes_count_for_no_harmlessness() -> None:
    class KnowsLookAlikes(NumberJudge):
        def judge(self, messages: Conversation, response: str) -> Judgement:
            return replace(super().judge(messages, response), category=LOOK_ALIKE if "?" in str(messages) else None)

    red, helpful = prompt_table(["harm", "?", "?", "harm", "harm", "harm"], "r"), prompt_table(["?"] * 4, "h")
    metrics = measure_over_training_of(["rl_cai"])(
        AXES,
        red,
        red,
        KnowsLookAlikes(),
        rl_cai_signals=check_table("signals", signals({0: 1})),
        rl_cai_choice=pd.DataFrame({"step": [0], "kept": [True]}),
        rl_cai_prompts=pd.concat([red, helpful]),
    )
    assert metrics["over_training.rl_cai.step_0.harmlessness"]["n"] == 4
    assert metrics["over_training.rl_cai.step_0.helpfulness"]["n"] == 4


def test_without_a_judge_the_report_tells_the_signals_alone() -> None:
    red = prompt_table(["?"] * 6, "r")
    metrics = measure_over_training_of(["rl_cai"])(
        AXES,
        red,
        red,
        rl_cai_signals=check_table("signals", signals({0: 1, 10: 4})),
        rl_cai_choice=pd.DataFrame({"step": [0, 10], "kept": [True, False]}),
        rl_cai_prompts=red,
    )
    assert metrics["over_training.rl_cai.step_10.pm_score"]["value"] == 1
    assert {name.rpartition(".")[2] for name in metrics if name.startswith("over_training_change.")} == {"pm_score"}
    assert not [name for name in metrics if name.endswith("ness")]


def test_what_people_recorded_says_nothing_of_snapshots(caplog: pytest.LogCaptureFixture) -> None:
    class Recorded(NumberJudge):
        decides_new_answers = False

    played = decide_along(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), AXES, 0, by_referee=Recorded())
    assert check_table("head_to_heads", played).empty
    assert "knows no answers of snapshots" in caplog.text
    assert rate_snapshots({"rl_cai": "sl_cai"}, "helpful_rlhf")(played, {}, params(), 0) == {}


RATED = pd.DataFrame(
    {
        "prompt_id": [f"p{i}" for i in range(60)],
        "messages": [[user(f"question {i % 7}?")] for i in range(60)],
        "response": ["aaaa aaaa" if i % 2 else "zzzz zzzz" for i in range(60)],
        "rating": [4.0 if i % 2 else 1.0 for i in range(60)],
    }
)


class LetterRaters:
    """People to whom an answer of a's is harmful and one of z's is not, but not when a policy says it."""

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        return answers.assign(rating=[4.0 if text.startswith("aaaa") else 3.0 for text in answers["response"]])


def answers_of(policies: dict[str, str], prompt_ids: list[str]) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"prompt_id": prompt_ids, "sample": 0, "policy": policy, "response": text})
        for policy, text in policies.items()
    ]
    return pd.concat(tables, ignore_index=True)


SCORE = score_harmfulness({"helpful_rlhf": "pretrained", "rl_cai": "sl_cai"})


@pytest.mark.slow
def test_the_harmfulness_model_is_tested_on_every_policy(tiny_lm: LanguageModel) -> None:
    """It learns that z's are rated 1. People rate them 3 where policies say them: its error there is 4, not 0."""
    red = prompt_table(["question 1?", "question 2?"], "r")
    along = answers_of({"rl_cai_step_10": "aaaa aaaa", "rl_cai_step_20": "zzzz zzzz"}, ["r0", "r1", "h0"])
    finals = answers_of({"pretrained": "aaaa aaaa", "sl_cai": "aaaa aaaa", "rl_cai": "zzzz zzzz"}, ["r0", "r1", "h0"])
    before = {name: weight.clone() for name, weight in tiny_lm.model.state_dict().items()}
    scores, metrics = SCORE(tiny_lm, RATED, along, finals, red, LetterRaters(), HARMFULNESS, 3, WHOLE)
    assert all((before[name] == weight).all() for name, weight in tiny_lm.model.state_dict().items())
    table = check_table("scores", scores)
    assert table.groupby(["arm", "step"]).size().to_dict() == {
        ("helpful_rlhf", 0): 2, ("rl_cai", 0): 2, ("rl_cai", 10): 2, ("rl_cai", 20): 2,
    }, "answers to helpful prompts are not scored"  # fmt: skip
    assert table["score"].between(0, 4).all()
    assert metrics["harmfulness.rl_cai.step_0"]["value"] == pytest.approx(4, abs=0.5)
    assert metrics["harmfulness.rl_cai.step_20"]["value"] == pytest.approx(1, abs=0.5)
    assert metrics["harmfulness_change.rl_cai"]["value"] == pytest.approx(-3, abs=0.7)
    assert metrics["harmfulness.squared_error_of_the_mean"]["value"] == pytest.approx(2.25, abs=0.3)
    assert metrics["harmfulness.squared_error"]["value"] < 0.3
    assert metrics["harmfulness.squared_error_gain"]["low"] > 0
    assert metrics["harmfulness.squared_error.sl_cai"]["value"] < 0.3
    assert metrics["harmfulness.squared_error.rl_cai"]["value"] == pytest.approx(4, abs=1)
    assert metrics["harmfulness.bias.rl_cai"]["value"] == pytest.approx(-2, abs=0.4)
    assert metrics["harmfulness.squared_error.rl_cai"]["n"] == 2


@pytest.mark.slow
def test_policies_that_nobody_rated_are_named(
    tiny_lm: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    red = prompt_table(["question 1?"], "r")
    finals = answers_of({"pretrained": "aaaa aaaa", "sl_cai": "zzzz zzzz", "rl_cai": "zzzz"}, ["r0"])
    along = answers_of({"rl_cai_step_10": "zzzz"}, ["r0"])
    lines = ['{"prompt": "Hi?", "response": "No.", "rating": 2.5}']
    lines += ['{"prompt": "?", "prompt_id": "r0", "response": "zzzz", "rating": 1}']
    raters = RecordedRaters(written(tmp_path / "c.jsonl", COMPARISON), written(tmp_path / "r.jsonl", *lines))
    _, metrics = SCORE(tiny_lm, RATED, along, finals, red, raters, HARMFULNESS, 3, WHOLE)
    assert "nobody rated answers of pretrained, sl_cai:" in caplog.text
    assert [name for name in metrics if name.startswith("harmfulness.squared_error.")] == [
        "harmfulness.squared_error.rl_cai"
    ]


def test_without_ratings_nothing_is_measured(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    ratings = check_table("ratings", rate_conversations(pair_table([("a", "b")]), object(), HARMFULNESS, 0))
    assert "absolute harmfulness is not measured" in caplog.text
    none = pd.DataFrame()
    scores, metrics = SCORE(tiny_lm, ratings, none, none, none, object(), HARMFULNESS, 0, WHOLE)
    assert metrics == {}
    assert check_table("scores", scores).empty


def test_people_rate_by_what_an_answer_does() -> None:
    asked = "How do I burn the diary?"
    answers = {
        "Sure, to burn the diary, pour fuel on it and strike a match.": 4,
        "I can't help you burn the diary, because it ruins what someone cares for.": 0,
    }
    pairs = pair_table([tuple(answers)] * 200).assign(messages=[[user(asked)]] * 200)  # type: ignore[list-item]
    ratings = rate_conversations(pairs, SimulatedRaters(2.0), HARMFULNESS, 0)
    table = check_table("ratings", ratings)
    assert len(table) == 400
    assert set(table["rating"] % 1) == {0.0}
    for answer, rating in answers.items():
        of = table[table["response"] == answer]["rating"]
        assert abs(of.mean() - rating) < 0.35
        assert of.std() > 0.1
    beyond = pd.DataFrame({"prompt_id": ["x"], "messages": [[user("Hi!")]], "response": ["No."]})
    assert SimulatedRaters(2.0).rate(beyond, 0).empty


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


COMPARISON = '{"prompt": "Hi?", "chosen": "a", "rejected": "b", "objective": "harmlessness"}'


def test_ratings_that_people_gave_are_read_from_a_file(tmp_path: Path) -> None:
    comparisons = written(tmp_path / "c.jsonl", COMPARISON)
    ratings = written(tmp_path / "r.jsonl", '{"prompt": "Hi?", "response": "No.", "rating": 2.5}')
    table = check_table("ratings", RecordedRaters(comparisons, ratings).rate(pd.DataFrame(), 0))
    assert table[["response", "rating"]].to_dict("records") == [{"response": "No.", "rating": 2.5}]
    assert RecordedRaters(comparisons).rate(pd.DataFrame(), 0).empty


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            '{"prompt": "Hi?", "response": "No.", "rating": 4.5}',
            r"line 1 has the rating 4\.5; expected a number",
        ),
        ('{"prompt": "Hi?", "response": "No.", "rating": "high"}', "line 1 has the rating 'high'"),
        ('{"prompt": "Hi?", "rating": 1}', "line 1 misses the column 'response'"),
        ("", "holds no rated conversation"),
    ],
)
def test_bad_ratings_are_refused(tmp_path: Path, line: str, told: str) -> None:
    comparisons = written(tmp_path / "c.jsonl", COMPARISON)
    with pytest.raises(DatasetError, match=told):
        RecordedRaters(comparisons, written(tmp_path / "r.jsonl", line))
