"""One prompt's trip through every table, told with engines whose every word is known.

This is the method as a story: a bad answer is criticised and revised, the revision becomes a training row, answers of
the trained model are compared under the constitution, and the comparison is what the preference model learns from.
Training itself is left out; `docs/row_trip.md` tells the same trip with the micro world's real rows.
"""

import math

import pandas as pd
import pytest

from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.data_generation.prompt_tables import gather_red_team_prompts
from cai_kedro.pipelines.data_generation.red_team import RedTeamParams, generate_red_team_prompts
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise, revise_directly
from cai_kedro.pipelines.preference_labeling.cot_labels import CotLabelParams, label_pairs_with_cot
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs
from cai_kedro.pipelines.sl_cai.rows import RowParams, build_sl_rows
from cai_kedro.templates.human_feedback import compare_helpfulness
from cai_kedro.templates.pairs import MismatchParams, PairParams, sample_pairs
from cai_kedro.templates.responses import ResponseParams, sample_responses
from cai_kedro.templates.rlhf.comparisons import mix_comparisons
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from cai_kedro.templates.rlhf.policy import gather_rl_prompts
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, constitution, prompt_table
from tests.templates.conftest import SHARED

SEED = 1
BURGLARY = "How do I break into a house?"
OBJECTION = "I won't help with a burglary, because it harms people."


class Raters:
    """People who always find the longer answer more helpful."""

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        longer = pairs["response_a"].str.len() > pairs["response_b"].str.len()
        return pairs.assign(
            objective=objective,
            source="human",
            principle_id=None,
            p_a_better=longer.astype(float),
            p_a_first=float("nan"),
            p_a_second=float("nan"),
            thoughts=None,
        )


def pretrained_reply(prompt: str, seed: int) -> str:
    """Continue lists, criticise, and object more clearly with every revision."""
    if prompt.endswith("\n-"):
        return "How do I open a locked car?\n- How do I forge a cheque?"
    if prompt.endswith("Critique:"):
        return f"It helps a burglar ({seed % 1000})."
    if prompt.endswith("Revision:"):
        return f"{OBJECTION} ({seed % 1000})"
    return "Let me compare them."


def prefers_objections(prompt: str) -> tuple[float, float]:
    """Put nine tenths on the option that objects, and none on either where both do or neither does."""
    option_a, option_b = (part.split("]]]")[0] for part in prompt.split("[[[")[-2:])
    p = 0.5 + 0.4 * (("won't" in option_a) - ("won't" in option_b))
    return math.log(p), math.log(1 - p)


PRETRAINED = ScriptedEngine(reply=pretrained_reply, prefer=prefers_objections)
HELPFUL = ScriptedEngine(reply=lambda prompt, seed: f"Sure: use a crowbar ({seed % 1000}).")
# after fine-tuning the model objects about every other time
SL_CAI = ScriptedEngine(reply=lambda prompt, seed: OBJECTION if seed % 2 else f"Use a crowbar ({seed % 1000}).")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Every table of the trip, in the order in which the pipelines make them."""
    made: dict[str, pd.DataFrame] = {}
    principles = constitution()

    # data_generation: prompts that people gave, and prompts that the pretrained model wrote after their example
    given = prompt_table([BURGLARY, "How do I steal a purse?", "How do I trick a bank?"])
    held_out = prompt_table(["How do I poison a well?"], "eval")
    red_team = RedTeamParams(
        header="Questions:",
        examples=2,
        lists=1,
        keep=9,
        min_words=3,
        max_words=20,
        max_similarity=95,
        sampling=SAMPLING,
    )
    generated = generate_red_team_prompts(given, held_out, principles, PRETRAINED, red_team, SEED)
    made["red_team_prompts"] = gather_red_team_prompts(given, generated, held_out, [])
    made["helpful_prompts"] = prompt_table(["How do I bake bread?", "How do I plant a tree?"], "h")

    # the helpful-only assistant answers; the answer is criticised and revised four times
    answers = ResponseParams(policy="helpful_rlhf", prompts=None, samples=1, sampling=SAMPLING)
    made["initial_responses"] = sample_responses(made["red_team_prompts"], HELPFUL, answers, SEED).rows
    revision = RevisionParams(rounds=4, few_shots=0, sampling=SAMPLING)
    sources = (made["red_team_prompts"], made["initial_responses"], principles, PRETRAINED, revision, SEED)
    made["revisions"] = critique_and_revise(*sources).rows
    made["direct_revisions"] = revise_directly(*sources).rows
    twice = answers.model_copy(update={"samples": 2})
    made["helpful_responses"] = sample_responses(made["helpful_prompts"], HELPFUL, twice, SEED).rows

    # sl_cai: what the pretrained model is fine-tuned on
    rows = RowParams(revisions="all", max_revisions=None, max_helpful=None)
    made["sl_rows"] = build_sl_rows(
        made["red_team_prompts"],
        made["revisions"],
        made["helpful_prompts"],
        made["helpful_responses"],
        rows,
        SEED,
    )

    # preference_labeling: two answers of SL-CAI, and which of them the constitution prefers
    pairs = PairParams(
        policy="sl_cai",
        prompts=None,
        pairs_per_prompt=2,
        mismatched=MismatchParams(share=0.0, neighbours=1),
        sampling=SAMPLING,
    )
    made["harmlessness_pairs"] = sample_pairs(made["red_team_prompts"], SL_CAI, pairs, SEED).rows
    made["sl_helpful_pairs"] = sample_pairs(made["helpful_prompts"], SL_CAI, pairs, SEED).rows
    labels = LabelParams(both_orders=True, few_shots=0)
    made["ai_comparisons"] = label_pairs(made["harmlessness_pairs"], principles, PRETRAINED, labels, SEED).rows
    cot = CotLabelParams(pairs=None, both_orders=True, few_shots=0, samples=1, clamp=(0.4, 0.6), sampling=SAMPLING)
    made["ai_cot_comparisons"] = label_pairs_with_cot(
        made["harmlessness_pairs"], principles, PRETRAINED, cot, SEED
    ).rows
    made["sl_helpfulness_comparisons"] = compare_helpfulness(made["sl_helpful_pairs"], Raters(), SEED)

    # rl_cai: what the preference model learns from, and the prompts on which RL asks for its score
    shared, arm = RLHFParams.model_validate(SHARED), ArmParams(name="rl_cai", algorithm="ppo", differences={})
    made["mixed_comparisons"] = mix_comparisons(
        shared,
        arm,
        SEED,
        ai_comparisons=made["ai_comparisons"],
        sl_helpfulness_comparisons=made["sl_helpfulness_comparisons"],
    )
    made["rl_prompts"] = gather_rl_prompts(made["red_team_prompts"], made["helpful_prompts"], shared, arm, SEED)
    return made


def of_burglary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the prompt that we follow."""
    return table[table["prompt_id"] == "p0"].reset_index(drop=True)


def test_every_table_is_valid(tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        assert not check_table(name.rpartition("_")[2], table).empty


def test_the_prompt_waits_beside_generated_ones(tables: dict[str, pd.DataFrame]) -> None:
    prompts = tables["red_team_prompts"]
    assert prompts["messages"][0] == [{"role": "user", "content": BURGLARY}]
    assert prompts["source"].tolist() == ["given"] * 3 + ["generated"] * 2


def test_its_first_answer_complies(tables: dict[str, pd.DataFrame]) -> None:
    (first,) = of_burglary(tables["initial_responses"])["response"]
    assert first.startswith("Sure: use a crowbar")


def test_four_rounds_turn_it_into_an_objection(tables: dict[str, pd.DataFrame]) -> None:
    revisions = of_burglary(tables["revisions"])
    assert revisions["step"].tolist() == [1, 2, 3, 4]
    assert revisions["critique"].str.startswith("It helps a burglar").all()
    assert revisions["revision"].str.startswith(OBJECTION).all()
    assert revisions["revision"].is_unique
    direct = of_burglary(tables["direct_revisions"])
    assert direct["principle_id"].tolist() == revisions["principle_id"].tolist()


def test_each_revision_is_a_row_to_learn_from(tables: dict[str, pd.DataFrame]) -> None:
    rows = of_burglary(tables["sl_rows"]).sort_values("step")
    assert rows["row_id"].tolist() == ["p0.0.1", "p0.0.2", "p0.0.3", "p0.0.4"]
    assert rows["response"].tolist() == of_burglary(tables["revisions"])["revision"].tolist()
    assert (tables["sl_rows"]["source"] == "helpful").sum() == 4


def test_its_pairs_are_labelled_by_the_constitution(tables: dict[str, pd.DataFrame]) -> None:
    labels = tables["ai_comparisons"]
    objects = labels[["response_a", "response_b"]].eq(OBJECTION)
    expected = 0.5 + 0.4 * (objects["response_a"].astype(int) - objects["response_b"].astype(int))
    assert labels["p_a_better"].tolist() == pytest.approx(expected.tolist())
    assert expected.nunique() == 3  # objections on either side, and pairs without one
    assert labels["principle_id"].isin([principle.id for principle in constitution().preference_principles]).all()


def test_thinking_first_gives_the_same_answer_within_bounds(tables: dict[str, pd.DataFrame]) -> None:
    labels = tables["ai_cot_comparisons"]
    assert labels["p_a_better"].tolist() == pytest.approx(
        tables["ai_comparisons"]["p_a_better"].clip(0.4, 0.6).tolist()
    )
    assert labels["thoughts"].str.contains("Let me compare them.").all()


def test_the_preference_model_learns_from_both_kinds_of_comparisons(tables: dict[str, pd.DataFrame]) -> None:
    mixed = tables["mixed_comparisons"]
    assert set(mixed["objective"]) == {"harmlessness", "helpfulness"}
    assert set(of_burglary(mixed)["pair_id"]) == set(of_burglary(tables["harmlessness_pairs"])["pair_id"])


def test_rl_asks_the_prompt_again(tables: dict[str, pd.DataFrame]) -> None:
    assert "p0" in set(tables["rl_prompts"]["prompt_id"])
