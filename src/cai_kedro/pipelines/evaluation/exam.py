"""Which held-out prompts the policies answer, and on which axes each one counts."""

import difflib
from collections.abc import Mapping

import pandas as pd

from cai_kedro.core.axes import Axes
from cai_kedro.core.judging import LOOK_ALIKE
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.templates.selection import choose


def gather_eval_prompts(
    params: EvaluationParams, axes: Axes, seed: int, **tables: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the prompts that all policies answer (→ `prompts`), and on which axes each counts (→ `axes`).

    `tables` are the `prompts` of all axes, by the name of their dataset. Raises `ValueError` for a prompt id in two of
    them, and for a parameter about an axis that there is not.
    """
    _refuse_unknown_axes(params, axes)
    chosen = [
        choose(tables[axis.prompts], params.prompts.get(name), seed, "evaluation").assign(axis=name, table=axis.prompts)
        for name, axis in axes.measured.items()
    ]
    rows = pd.concat(chosen, ignore_index=True)
    prompts = rows.drop_duplicates(["prompt_id", "table"])
    doubles = prompts[prompts["prompt_id"].duplicated()]
    if len(doubles):
        twice = prompts[prompts["prompt_id"] == doubles["prompt_id"].iloc[0]]
        raise ValueError(
            f"{len(doubles)} prompt ids stand in both {' and '.join(twice['table'])}, such as "
            f"{twice['prompt_id'].iloc[0]!r}: results are kept by prompt id, so rename them in one of the two"
        )
    return prompts.drop(columns=["axis", "table"]).reset_index(drop=True), rows[["prompt_id", "axis"]]


def gather_snapshot_prompts(
    policy_prompts: pd.DataFrame, prompt_axes: pd.DataFrame, params: EvaluationParams, axes: Axes, seed: int
) -> pd.DataFrame:
    """Choose the prompts that every snapshot answers, of those that the final policies answer (→ `prompts`)."""
    parts = []
    for axis in axes.measured:
        of_axis = policy_prompts["prompt_id"].isin(prompt_axes["prompt_id"][prompt_axes["axis"] == axis])
        parts.append(choose(policy_prompts[of_axis], params.snapshots.get(axis), seed, "snapshot prompts"))
    return pd.concat(parts, ignore_index=True).drop_duplicates("prompt_id").reset_index(drop=True)


def with_axes(answers: pd.DataFrame, prompts: pd.DataFrame, prompt_axes: pd.DataFrame) -> pd.DataFrame:
    """Put the prompt and an axis beside every answer (`responses`, `prompts`, `axes`): a row an answer and axis."""
    asked = answers.merge(prompts, on="prompt_id", how="inner", validate="many_to_one")
    return asked.merge(prompt_axes, on="prompt_id", how="inner")


def _refuse_unknown_axes(params: EvaluationParams, axes: Axes) -> None:
    """Raise `ValueError` where the parameters name an axis that `axes.yml` does not have, or it has one too many."""
    named: dict[str, Mapping[str, object]] = {
        "prompts": params.prompts,
        "snapshots": params.snapshots,
        "behaviours": params.behaviours.root,
    }
    if LOOK_ALIKE in axes.root:
        raise ValueError(f"no axis can be called {LOOK_ALIKE}: shares of look-alikes stand under that name; rename it")
    for field, values in named.items():
        for name in values:
            if name not in axes.root and (field, name) != ("behaviours", LOOK_ALIKE):
                near = difflib.get_close_matches(name, axes.root, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"the axes are {', '.join(axes.root)}"
                raise ValueError(f"evaluation.{field} names the axis {name!r}, which conf/base/axes.yml lacks; {hint}")
