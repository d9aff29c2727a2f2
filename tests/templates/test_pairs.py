"""Pairs of answers, some of them mismatched."""

import pandas as pd

from cai_kedro.core.schemas import check_table
from cai_kedro.templates.pairs import PairParams, sample_pairs
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, prompt_table

OBJECTS = ("cat", "dog", "boss", "aunt", "bank", "shop", "king", "nurse")
PROMPTS = prompt_table([f"How do I {verb} the {thing}?" for verb in ("feed", "rob") for thing in OBJECTS])


def params(share: float, **changes: object) -> PairParams:
    given = {
        "policy": "sl_cai",
        "prompts": None,
        "pairs_per_prompt": 1,
        "mismatched": {"share": share, "neighbours": 3},
        "sampling": SAMPLING,
    }
    return PairParams.model_validate({**given, **changes})


def about_the_prompt(prompt: str, seed: int) -> str:
    """Answer with the last human turn and the seed, so that an answer tells where it came from."""
    return f"{prompt.rsplit('Human: ', maxsplit=1)[-1].split('?', maxsplit=1)[0]} {seed % 1000}"


def draw(share: float, table: pd.DataFrame = PROMPTS, seed: int = 3, **changes: object) -> pd.DataFrame:
    return sample_pairs(table, ScriptedEngine(reply=about_the_prompt), params(share, **changes), seed).rows


def asked(row: pd.Series) -> str:
    return row["messages"][0]["content"].split("?")[0]


def test_pairs_are_two_samples_of_one_prompt() -> None:
    pairs = check_table("pairs", draw(0.0, pairs_per_prompt=2))
    assert len(pairs) == 2 * len(PROMPTS)
    assert pairs["pair_id"].tolist()[:3] == ["p0.sl_cai.0", "p0.sl_cai.1", "p1.sl_cai.0"]
    for _, row in pairs.iterrows():
        assert row["response_a"].startswith(asked(row))
        assert row["response_b"].startswith(asked(row))


def test_identical_answers_are_no_pair() -> None:
    engine = ScriptedEngine(reply=lambda prompt, seed: "Same." if "cat" in prompt else str(seed))
    pairs = sample_pairs(PROMPTS, engine, params(0.0), 3).rows
    assert len(pairs) == len(PROMPTS) - 2


def test_an_empty_answer_is_no_pair() -> None:
    engine = ScriptedEngine(reply=lambda prompt, seed: "")
    assert sample_pairs(PROMPTS, engine, params(0.3), 3).rows.empty


def test_a_mismatched_pair_holds_one_answer_to_a_similar_other_prompt() -> None:
    pairs = check_table("pairs", draw(1.0))
    assert set(pairs["kind"]) == {"mismatched"}
    sides = []
    for _, row in pairs.iterrows():
        fits = [row[side].startswith(asked(row)) for side in ("response_a", "response_b")]
        assert sum(fits) == 1
        sides.append(fits[0])
        stranger = row["response_b"] if fits[0] else row["response_a"]
        assert len(set(stranger.split()) & set(asked(row).split())) >= 3  # the same verb, another object
    assert 0 < sum(sides) < len(sides)  # either side is replaced


def test_the_share_is_drawn_per_pair_and_leaves_the_others_alone() -> None:
    none, some = draw(0.0), draw(0.4)
    mismatched = some["kind"] == "mismatched"
    assert 0 < mismatched.sum() < len(some)
    assert some[~mismatched].equals(none[~mismatched])


def test_prompts_that_are_added_change_no_draw() -> None:
    few, many = draw(0.4, PROMPTS[:12]), draw(0.4)
    old = many[many["prompt_id"].isin(PROMPTS["prompt_id"][:12])].reset_index(drop=True)
    assert old["kind"].tolist() == few["kind"].tolist()
    sampled = few["kind"] == "sampled"
    assert old[sampled].equals(few[sampled])


def test_without_another_prompt_nothing_is_mismatched() -> None:
    assert draw(1.0, PROMPTS[:1])["kind"].tolist() == ["sampled"]
