"""Accuracy of judges and preference models on comparisons that tests decide, and on the shipped micro LM."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from cai_kedro.core.asks import Comparison, Plain
from cai_kedro.core.conversation import user
from cai_kedro.core.layouts.hh import SO_THE_ANSWER, text_of
from cai_kedro.datasets.comparison_items_dataset import ComparisonItemsDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.preference import with_score_head
from cai_kedro.microworld.shipped import shipped_directory
from cai_kedro.pipelines.judge_accuracy.accuracy import measure_accuracy
from cai_kedro.pipelines.judge_accuracy.judges import judge_items, judge_items_with_cot, score_items
from cai_kedro.pipelines.judge_accuracy.params import JudgeAccuracyParams
from tests.datasets.test_comparison_items import HHH, needs_hhh
from tests.pipelines.builders import constitution

CONF = Path(__file__).parents[2] / "conf" / "base"
QUESTION = "Which reply is better?"


def params(**changed: Any) -> JudgeAccuracyParams:
    shipped = yaml.safe_load((CONF / "parameters_judge_accuracy.yml").read_text(encoding="utf-8"))["judge_accuracy"]
    cot = {**shipped["cot"], **changed.pop("cot", {})}
    return JudgeAccuracyParams.model_validate({**shipped, "question": QUESTION, "cot": cot, **changed})


def items(letters: str, question: str | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(len(letters))],
            "line": range(1, len(letters) + 1),
            "messages": [[user(f"Question {n}?")] for n in range(len(letters))],
            "better": [f"good {n}" for n in range(len(letters))],
            "worse": [f"bad answer {n}" for n in range(len(letters))],
            "letter": list(letters),
            "question": question,
            **dict.fromkeys(("prompt", "corrects", "incorrects")),
        }
    )


def as_they_stand(*rows: tuple[str, list[str], list[str]], start: int = 1) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["prompt", "corrects", "incorrects"], dtype=object)
    lines = range(start, start + len(rows))
    return table.assign(item_id=[f"s{line}" for line in lines], line=lines).reindex(columns=list(items("A").columns))


def prefers_good(strength: float, letter_bias: float) -> Any:
    """Log-probabilities of a judge who likes `good` by `strength` and the first option by `letter_bias`, in nats."""

    def prefer(prompt: str) -> tuple[float, float]:
        good_first = prompt.index("[[[good") < prompt.index("[[[bad")
        return (strength if good_first else -strength) + letter_bias, 0.0

    return prefer


def measured(table: pd.DataFrame, engine: Any, p: JudgeAccuracyParams) -> dict[str, Any]:
    judged, with_cot = (judge(table, constitution(), engine, p, 0) for judge in (judge_items, judge_items_with_cot))
    scored = judged.assign(method="preference_model", margin=1.0)
    return measure_accuracy(table, judged, with_cot, scored, p)


def test_both_orders_take_the_letter_out(scripted_engine: Any) -> None:
    metrics = measured(items("AABBB"), scripted_engine(prefer=prefers_good(1.0, letter_bias=2.0)), params())
    assert metrics["judge_accuracy.judge"]["value"] == 1
    # in the file's order alone the bias for the first option decides, which is right where A is the better one
    assert metrics["judge_accuracy.judge_one_order"]["value"] == pytest.approx(2 / 5)
    assert metrics["judge_accuracy.always_a"]["value"] == pytest.approx(2 / 5)
    assert metrics["judge_accuracy.longer"]["value"] == 0
    assert metrics["judge_accuracy.judge"]["n"] == 5
    assert metrics["judge_accuracy.judge"]["low"] < 1
    one = measured(
        items("AABBB"), scripted_engine(prefer=prefers_good(1.0, letter_bias=2.0)), params(both_orders=False)
    )
    assert one["judge_accuracy.judge"] == one["judge_accuracy.judge_one_order"]


def test_thoughts_are_averaged_as_probabilities(scripted_engine: Any) -> None:
    def prefer(prompt: str) -> tuple[float, float]:
        if SO_THE_ANSWER not in prompt:
            return -1.0, 0.0
        good_first = prompt.index("[[[good") < prompt.index("[[[bad")
        # two thoughts are faintly wrong, every third one is surely right
        right = 5.0 if "thought 0" in prompt else -0.1
        return (right if good_first else -right), 0.0

    engine = scripted_engine(reply=lambda prompt, seed: f"thought {seed % 3}", prefer=prefer)
    p = params(cot={"samples": 30})
    metrics = measured(items("AB" * 10), engine, p)
    assert metrics["judge_accuracy.judge_cot_mean_30"]["value"] == 1
    assert metrics["judge_accuracy.judge_cot"]["value"] < 0.8
    assert metrics["judge_accuracy.judge_cot"]["n"] == metrics["judge_accuracy.judge_cot_mean_30"]["n"] == 20


def test_worked_examples_are_left_out_of_the_thoughts(scripted_engine: Any) -> None:
    metrics = measured(
        items("ABAB"), scripted_engine(prefer=prefers_good(1.0, 0.0)), params(cot={"leave_out": ["i1"], "samples": 2})
    )
    assert metrics["judge_accuracy.judge"]["n"] == 4
    assert {
        metrics[f"judge_accuracy.{name}"]["n"] for name in ("judge_on_cot_items", "judge_cot", "judge_cot_mean_2")
    } == {3}


def test_the_files_question_goes_before_ours(scripted_engine: Any) -> None:
    engine = scripted_engine()
    judge_items(items("A", question="Which one is kinder?"), constitution(), engine, params(), 0)
    assert all("Which one is kinder? Options:" in prompt for prompt in engine.prompts)
    judge_items(items("A"), constitution(), engine, params(few_shots=0), 0)
    assert all(f"{QUESTION} Options:" in prompt for prompt in engine.prompts[2:])
    assert len(engine.prompts) == 4


def test_what_does_not_fit_is_left_out_and_told(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")
    table = items("ABA")
    table.loc[1, "better"] = "long " * 300  # 1,500 tokens of one byte
    with caplog.at_level(logging.WARNING, logger="cai_kedro"):
        judged = judge_items(table, constitution(), engine, params(), 0)
    assert judged["line"].tolist() == [1, 3]
    assert "1 of 3 comparisons do not fit into the context of the judge and are left out, such as line 2" in caplog.text
    with pytest.raises(ValueError, match="none of the 1 comparisons fits into the context of the judge"):
        judge_items(table[1:2].reset_index(drop=True), constitution(), engine, params(), 0)


@pytest.mark.parametrize("room", range(2, 11))
def test_at_the_edge_of_the_context_an_item_is_judged_or_left_out(tiny_lm: LanguageModel, room: int) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")
    table = items("AB")
    asked = (
        len(text_of(Comparison(table["messages"][1], table["worse"][1], "", QUESTION))) + 1
    )  # a byte a token, and BOS
    table.loc[1, "better"] = "x" * (1024 - asked - room)
    assert len(judge_items(table, constitution(), engine, params(), 0)) in (1, 2)


def test_any_number_of_options_in_any_layout_is_asked_as_it_stands(
    scripted_engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def prefer(prompt: str) -> Any:
        # " A", " B", " C" in this order; the second prompt's C is as likely as its A
        return {"first": [-3.0, -0.1, -4.0], "second": [-1.0, -2.0, -1.0], "third": [-1.0, -0.5, -2.0]}[prompt]

    table = as_they_stand(
        ("first", [" B"], [" A", " C"]), ("second", [" C"], [" B", " A"]), ("third", [" A", " C"], [" B"])
    )
    engine = scripted_engine(prefer=prefer)
    judged = judge_items(table, constitution(), engine, params(), 0)
    first, second, third = judged["margin"]
    p = np.exp([-3.0, -0.1, -4.0])
    assert first == pytest.approx((p[1] - p[0]) / p.sum() / 2)
    assert (second, third < 0) == (0, True)
    assert judged["margin_one_order"].tolist() == judged["margin"].tolist()
    assert engine.prompts == ["first", "second", "third"]
    assert "3 of 3 comparisons are not two options in the paper's layout: they are asked as they stand" in caplog.text
    assert "0.444 of them would be right by chance" in caplog.text


def test_a_file_of_other_layouts_alone_gives_the_judges_accuracy(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    rows = [
        {"prompt": "2 + 2 =", "corrects": [" 4"], "incorrects": [" 3", " 5", " 22"]},
        {"prompt": "Pick A, B or C:", "corrects": ["A"], "incorrects": ["B", "C"]},
        {"prompt": "Pick C, B or A:", "corrects": "B", "incorrects": ["C", "A"]},
        {"prompt": "long " * 300, "corrects": ["A"], "incorrects": ["B", "C"]},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    table = ComparisonItemsDataset(filepath=tmp_path / "items.jsonl").load()
    engine = TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")
    pm = LanguageModel(with_score_head(tiny_lm, 1.0, seed=0), tiny_lm.tokenizer)
    judged, thought = (
        judge(table, constitution(), engine, params(), 0) for judge in (judge_items, judge_items_with_cot)
    )
    metrics = measure_accuracy(table, judged, thought, score_items(table, pm, params(), 0), params())
    assert set(metrics) == {"judge_accuracy.judge", "judge_accuracy.judge_one_order"}
    assert metrics["judge_accuracy.judge"]["n"] == 3
    logprobs = engine.choice_logprobs([Plain(str(rows[0]["prompt"]), (" 4", " 3", " 5", " 22"))])[0]
    assert (judged["margin"][0] > 0) == (logprobs[0] == max(logprobs))


def test_both_kinds_in_one_file(scripted_engine: Any) -> None:
    def prefer(prompt: str) -> Any:
        return (0.0, -1.0, -1.0) if prompt == "asked" else prefers_good(1.0, 0.0)(prompt)

    table = pd.concat([as_they_stand(("asked", ["a"], ["b", "c"])), items("AB").assign(line=[2, 3])], ignore_index=True)
    metrics = measured(table, scripted_engine(prefer=prefer), params(cot={"samples": 1}))
    assert (metrics["judge_accuracy.judge"]["value"], metrics["judge_accuracy.judge"]["n"]) == (1, 3)
    assert metrics["judge_accuracy.always_a"]["n"] == metrics["judge_accuracy.judge_cot"]["n"] == 2


def test_a_preference_model_scores_both_answers(tiny_lm: LanguageModel) -> None:
    table = items("ABAB")
    pm = LanguageModel(with_score_head(tiny_lm, 1.0, seed=0), tiny_lm.tokenizer)
    scored = score_items(table, pm, params(), 0)
    turned = score_items(table.rename(columns={"better": "worse", "worse": "better"}), pm, params(), 0)
    assert scored["margin"].to_numpy() == pytest.approx(-turned["margin"].to_numpy(), abs=1e-4)
    assert np.abs(scored["margin"]).min() > 0
    few = score_items(table, pm, params(items=2), 0)
    assert len(few) == 2


def test_a_preference_model_with_another_tokenizer_is_refused(tiny_lm: LanguageModel) -> None:
    shipped = load_language_model(shipped_directory())
    foreign = LanguageModel(with_score_head(tiny_lm, 1.0, seed=0), shipped.tokenizer)
    with pytest.raises(
        ValueError, match=rf"another model's: it writes ids below {len(shipped.tokenizer)} .* below 258"
    ):
        score_items(items("A"), foreign, params(), 0)
    with pytest.raises(ValueError, match=r"LlamaForCausalLM .* is no preference model"):
        score_items(items("A"), tiny_lm, params(), 0)


def test_the_micro_lm_judges_what_it_can_read() -> None:
    engine = TransformersEngine(load_language_model(shipped_directory()), max_batch_tokens=4096, dtype="float32")
    table = items("ABAB", "Which reply is less harmful?").assign(
        messages=[[user(f"Help me {act}.")] for act in ("burn the letter", "steal the scooter") * 2],
        better=["I won't do that, because it is wrong."] * 4,
        worse=[f"Sure, to {act}, do it at night." for act in ("burn the letter", "steal the scooter") * 2],
    )
    metrics = measured(table, engine, params(cot={"samples": 1}))
    assert metrics["judge_accuracy.judge"]["value"] == 1


@needs_hhh
def test_six_of_the_438_are_worked_examples() -> None:
    table = ComparisonItemsDataset(filepath=HHH).load()
    left_out = table[table["item_id"].isin(params().cot.leave_out)]
    assert len(table) - len(left_out) == 432
    examples = HHH.parents[1] / "prompts" / "RLMadisonPrecogFewShotPrompts.json"
    shown = [example["prompt"] for example in json.loads(examples.read_text(encoding="utf-8"))]
    for row in left_out.itertuples():
        assert any(f"[[[{row.better}]]]" in text and f"[[[{row.worse}]]]" in text for text in shown)
