"""Human comparisons that were recorded before the run are used as recorded; nothing is sampled for them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import Version

from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.datasets.recorded_raters import RecordedRaters
from cai_kedro.datasets.shards_dataset import ShardsDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.microworld.raters import SimulatedRaters
from cai_kedro.templates.human_feedback import (
    compare_harmlessness,
    compare_helpfulness,
    plan_human_pairs,
    recorded_pairs,
)
from cai_kedro.templates.pairs import PairParams, plan_pairs
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, prompt_table

PROMPTS = prompt_table([f"How do I feed the {thing}?" for thing in ("cat", "dog", "boss", "aunt")])
PARAMS = PairParams.model_validate(
    {
        "policy": "pretrained",
        "prompts": 2,  # fewer than there are comparisons of: recorded ones are not cut
        "pairs_per_prompt": 1,
        "mismatched": {"share": 0.5, "neighbours": 3},
        "sampling": SAMPLING,
    }
)
SHARDS = ShardParams(prompts=4, max_quarantined=0.0)


def raters(folder: Path) -> RecordedRaters:
    rows = [
        {
            "prompt_id": row.prompt_id,
            "messages": row.messages,
            "chosen": f"good {i}",
            "rejected": "bad",
            "objective": about,
        }
        for about in ("helpfulness", "harmlessness")
        for row in PROMPTS.itertuples()
        for i in range(10)
    ]
    (folder / "r.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return RecordedRaters(folder / "r.jsonl")


def saved(folder: Path, plan: ShardPlan) -> pd.DataFrame:
    dataset = ShardsDataset(filepath=folder / "human_pairs.parquet", kind="pairs", version=Version(None, "v1"))
    dataset.save(plan)
    return dataset.load()


def test_all_recorded_comparisons_are_used_and_nothing_is_sampled(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")
    recorded = raters(tmp_path)
    pairs = saved(tmp_path, plan_human_pairs(PROMPTS, recorded_pairs(PROMPTS, recorded), engine, PARAMS, 3, SHARDS))
    assert engine.tokens_written == 0
    assert (len(pairs), set(pairs["kind"])) == (80, {"recorded"})
    helpful, harmless = compare_helpfulness(pairs, recorded, 3), compare_harmlessness(pairs, recorded, 3)
    assert (len(helpful), len(harmless)) == (40, 40)
    better = pd.concat([helpful, harmless]).pipe(lambda t: t["response_a"].where(t["p_a_better"] == 1, t["response_b"]))
    assert better.str.startswith("good").all()


def test_an_engine_whose_answers_are_all_the_same_loses_no_comparison(tmp_path: Path) -> None:
    engine = ScriptedEngine(reply=lambda prompt, seed: "Same.")
    assert (
        len(
            saved(
                tmp_path,
                plan_human_pairs(PROMPTS, recorded_pairs(PROMPTS, raters(tmp_path)), engine, PARAMS, 3, SHARDS),
            )
        )
        == 80
    )
    assert engine.prompts == []


def test_raters_who_are_asked_during_the_run_get_the_answers_of_the_engine(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    plan = plan_human_pairs(PROMPTS, recorded_pairs(PROMPTS, SimulatedRaters(2.0)), engine, PARAMS, 3, SHARDS)
    same = plan_pairs(PROMPTS, engine, PARAMS, 3, SHARDS)
    assert (plan.ids, plan.decided_by) == (same.ids, same.decided_by)
    (tmp_path / "other").mkdir()
    pd.testing.assert_frame_equal(saved(tmp_path, plan), saved(tmp_path / "other", same))


def test_prompts_that_nobody_compared_on_are_an_error(tmp_path: Path) -> None:
    others = prompt_table(["Why?"]).assign(prompt_id="other")
    with pytest.raises(ValueError, match="no comparison on any of the 1 prompts of this table"):
        recorded_pairs(others, raters(tmp_path))
