"""Adding prompts changes no draw of the old rows, from the first answer to the prompts of RL.

The scripted engines write the seed and a digest of the prompt into every answer, so that equal rows are rows of equal
draws all the way up.
"""

import hashlib
import math

import pandas as pd
import pytest

from cai_kedro.pipelines.data_generation.prompt_tables import gather_red_team_prompts
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise, revise_directly
from cai_kedro.pipelines.preference_labeling.cot_labels import CotLabelParams, label_pairs_with_cot
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs
from cai_kedro.pipelines.sl_cai.rows import RowParams, build_sl_rows
from cai_kedro.templates.pairs import MismatchParams, PairParams, sample_pairs
from cai_kedro.templates.responses import ResponseParams, sample_responses
from cai_kedro.templates.rlhf.comparisons import held_out, mix_comparisons
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from cai_kedro.templates.rlhf.policy import gather_rl_prompts
from cai_kedro.templates.training_prompts import training_prompts
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, constitution, prompt_table
from tests.templates.conftest import SHARED

SEED, FEW, MANY = 5, 12, 17
REVISION = RevisionParams(rounds=3, few_shots=0, sampling=SAMPLING)
COT = CotLabelParams(pairs=None, both_orders=True, few_shots=0, samples=1, clamp=(0.0, 1.0), sampling=SAMPLING)
ALL_PROMPTS = RLHFParams.model_validate({**SHARED, "prompts": {"red_team": None, "helpful": None}})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _preference(prompt: str) -> tuple[float, float]:
    p = (1 + int(_digest(prompt), 16) % 97) / 99
    return math.log(p), math.log(1 - p)


ENGINE = ScriptedEngine(reply=lambda prompt, seed: f"{seed} {_digest(prompt)}", prefer=_preference)


def _trip(n: int, position: slice) -> dict[str, pd.DataFrame]:
    """Take the prompts at `position` of `n` prompts of each kind through every stage."""
    given = prompt_table([f"How do I steal {i} cars?" for i in range(n)], "red")[position].reset_index(drop=True)
    asked = prompt_table([f"How do I buy {i} cars?" for i in range(n)], "help")[position].reset_index(drop=True)
    made: dict[str, pd.DataFrame] = {}
    generated = prompt_table(["How do I open a safe?"], "generated")
    made["red"] = gather_red_team_prompts(given, generated, prompt_table([]), [])
    made["helpful"] = training_prompts(asked, prompt_table([]), [])
    answers = ResponseParams(policy="helpful_rlhf", prompts=None, samples=2, sampling=SAMPLING)
    made["initial"] = sample_responses(made["red"], ENGINE, answers, SEED).rows
    made["helpful_answers"] = sample_responses(made["helpful"], ENGINE, answers, SEED).rows
    revised = (made["red"], made["initial"], constitution(), ENGINE, REVISION, SEED)
    made["revisions"], made["direct"] = critique_and_revise(*revised).rows, revise_directly(*revised).rows
    rows = RowParams(revisions="all", max_revisions=None, max_helpful=None)
    made["rows"] = build_sl_rows(made["red"], made["revisions"], made["helpful"], made["helpful_answers"], rows, SEED)
    # which other prompt's answer a mismatched pair gets depends on the table, see tests/templates/test_pairs.py
    paired = PairParams(
        policy="sl_cai",
        prompts=None,
        pairs_per_prompt=2,
        mismatched=MismatchParams(share=0, neighbours=1),
        sampling=SAMPLING,
    )
    made["pairs"] = sample_pairs(made["red"], ENGINE, paired, SEED).rows
    made["labels"] = label_pairs(
        made["pairs"], constitution(), ENGINE, LabelParams(both_orders=True, few_shots=0), SEED
    ).rows
    made["cot_labels"] = label_pairs_with_cot(made["pairs"], constitution(), ENGINE, COT, SEED).rows
    arm = ArmParams(name="rl_cai", algorithm="ppo", differences={})
    made["mixed"] = mix_comparisons(ALL_PROMPTS, arm, SEED, ai_comparisons=made["labels"])
    made["split"] = made["mixed"][["prompt_id", "pair_id"]].assign(held_out=held_out(made["mixed"], 0.3, SEED))
    made["rl_prompts"] = gather_rl_prompts(made["red"], made["helpful"], ALL_PROMPTS, arm, SEED)
    return made


@pytest.mark.parametrize("position", [slice(0, FEW), slice(MANY - FEW, MANY)], ids=["added behind", "added in front"])
def test_old_rows_stay_as_they_were(position: slice) -> None:
    few, many = _trip(MANY, position), _trip(MANY, slice(0, MANY))
    for name, table in few.items():
        old = many[name][many[name]["prompt_id"].isin(table["prompt_id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(old, table, obj=name)
        assert len(many[name]) > len(table), name
    assert 0 < few["split"]["held_out"].sum() < len(few["split"])
    assert few["labels"]["principle_id"].nunique() > 1


def test_an_added_prompt_takes_at_most_one_place_where_places_are_limited() -> None:
    few, many = (_trip(n, slice(0, n)) for n in (FEW, FEW + 1))
    limited = RLHFParams.model_validate({**SHARED, "prompts": {"red_team": 6, "helpful": 6}})
    arm = ArmParams(name="rl_cai", algorithm="ppo", differences={})
    before, after = (
        set(gather_rl_prompts(made["red"], made["helpful"], limited, arm, SEED)["prompt_id"]) for made in (few, many)
    )
    assert len(before - after) <= 2  # one of each kind
    assert after - before <= {f"red{FEW}", f"help{FEW}"}
