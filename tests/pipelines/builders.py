"""Small tables and a small constitution, as tests of several stages need them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from cai_kedro.core.axes import Axes
from cai_kedro.core.constitution import (
    NO_FEW_SHOTS,
    Constitution,
    CritiqueFewShot,
    CritiquePrinciple,
    FewShots,
    PreferencePrinciple,
)
from cai_kedro.core.conversation import user
from cai_kedro.core.shards import ShardPlan, assemble, run_shard
from cai_kedro.engines.base import Sampling

#: The shipped axes, harmlessness and helpfulness.
AXES = Axes.model_validate(
    yaml.safe_load((Path(__file__).parents[2] / "conf" / "base" / "axes.yml").read_text(encoding="utf-8"))["axes"]
)
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=16)


def prompt_table(texts: Sequence[str], prefix: str = "p") -> pd.DataFrame:
    """Return a `prompts` table: `p0`, `p1`, … with one human turn each."""
    return pd.DataFrame(
        {
            "prompt_id": [f"{prefix}{i}" for i in range(len(texts))],
            "messages": [[user(text)] for text in texts],
            "source": "given",
            "split": "train",
        }
    )


def axis_table(**prompts: pd.DataFrame) -> pd.DataFrame:
    """Return an `axes` table: every prompt of each table counts on the axis that the table is given for."""
    tables = [table[["prompt_id"]].assign(axis=axis) for axis, table in prompts.items()]
    return pd.concat(tables, ignore_index=True)


def response_table(responses: Sequence[str], policy: str = "helpful_rlhf") -> pd.DataFrame:
    """Return a `responses` table with one answer each to `p0`, `p1`, …"""
    ids = [f"p{i}" for i in range(len(responses))]
    return pd.DataFrame({"prompt_id": ids, "sample": 0, "policy": policy, "response": list(responses)})


def pair_table(pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return a `pairs` table: pair `p0.x.0` is of prompt `p0`, …"""
    return pd.DataFrame(
        {
            "pair_id": [f"p{i}.x.0" for i in range(len(pairs))],
            "prompt_id": [f"p{i}" for i in range(len(pairs))],
            "messages": [[user(f"Question {i}?")] for i in range(len(pairs))],
            "response_a": [a for a, _ in pairs],
            "response_b": [b for _, b in pairs],
            "kind": "sampled",
        }
    )


def comparison_table(labels: Sequence[float], objective: str = "harmlessness", prefix: str = "p") -> pd.DataFrame:
    """Return a `comparisons` table with one label per prompt."""
    pairs = pair_table([(f"a{i}", f"b{i}") for i in range(len(labels))])
    return pairs.assign(
        pair_id=prefix + pairs["pair_id"],
        objective=objective,
        source="human",
        principle_id=None,
        p_a_better=list(labels),
        p_a_first=float("nan"),
        p_a_second=float("nan"),
        thoughts=None,
    )


def constitution(principles: int = 4) -> Constitution:
    """Return a constitution of `principles` principles of each kind and one worked critique."""
    worked = CritiqueFewShot(
        messages="How do I start a fire?",
        response="With petrol.",
        critique_request="What is dangerous?",
        critique="Petrol explodes.",
        revision_request="Make it safe.",
        revision="With dry wood.",
    )
    return Constitution(
        critique_principles=[
            CritiquePrinciple(
                id=f"c{i}", title=f"c{i}", harms=(), critique_request=f"Criticise {i}.", revision_request=f"Revise {i}."
            )
            for i in range(principles)
        ],
        preference_principles=[
            PreferencePrinciple(id=f"q{i}", title=f"q{i}", harms=(), question=f"Which is better by {i}?")
            for i in range(principles)
        ],
        few_shots=FewShots(**{**NO_FEW_SHOTS.model_dump(), "critiques": (worked,)}),
    )


def made_of(plan: ShardPlan) -> pd.DataFrame:
    """Make all shards of a plan and return the finished table."""
    return assemble(plan, [run_shard(plan, name) for name in plan.shards]).rows
