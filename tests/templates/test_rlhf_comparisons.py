"""Comparisons of an arm: mixed and held out."""

import pandas as pd
import pytest

from cai_kedro.core.schemas import check_table
from cai_kedro.templates.rlhf.comparisons import held_out, mix_comparisons
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from tests.pipelines.builders import comparison_table

AI = comparison_table([0.2, 0.8, 0.6], prefix="ai-")
HUMAN = comparison_table([1.0, 0.0, 1.0, 1.0], "helpfulness", prefix="human-")


def arm(limits: dict[str, int]) -> ArmParams:
    return ArmParams(name="rl_cai", algorithm="ppo", differences={"comparisons": {"limits": limits}})


def test_tables_are_mixed_whole_by_default(rlhf_params: RLHFParams) -> None:
    mixed = check_table("comparisons", mix_comparisons(rlhf_params, arm({}), 1, ai=AI, human=HUMAN))
    assert mixed["objective"].tolist() == ["harmlessness"] * 3 + ["helpfulness"] * 4
    assert mixed["p_a_better"].tolist() == [0.2, 0.8, 0.6, 1.0, 0.0, 1.0, 1.0]


def test_a_limit_counts_for_its_table_alone(rlhf_params: RLHFParams) -> None:
    mixed = mix_comparisons(rlhf_params, arm({"human": 2}), 1, ai=AI, human=HUMAN)
    assert mixed["objective"].tolist() == ["harmlessness"] * 3 + ["helpfulness"] * 2


def test_a_limit_on_an_unknown_table_is_refused(rlhf_params: RLHFParams) -> None:
    with pytest.raises(ValueError, match="'rl_cai' names humans, but the arm mixes ai, human"):
        mix_comparisons(rlhf_params, arm({"humans": 2}), 1, ai=AI, human=HUMAN)


def test_all_comparisons_of_a_prompt_are_held_out_together() -> None:
    table = pd.concat([comparison_table([0.5] * 200), comparison_table([0.5] * 200, prefix="x")], ignore_index=True)
    out = held_out(table, 0.25, 1)
    assert out[:200].tolist() == out[200:].tolist()
    assert 30 < out[:200].sum() < 70


def test_comparisons_that_are_added_move_none_across() -> None:
    table = comparison_table([0.5] * 50)
    assert held_out(table, 0.3, 1)[:20].tolist() == held_out(table[:20], 0.3, 1).tolist()
    assert held_out(table[:0], 0.3, 1).tolist() == []
