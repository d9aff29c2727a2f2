"""The wiring of the ablations: nodes of the method again, with one input exchanged.

They read the tables and models of a finished run. No RL is run again: labels end at the preference model's accuracy on
pairs that the judge made, revisions and SL-CAI at the judge's Elo.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.ablations import labels, revisions
from cai_kedro.templates.rlhf import arms_with_preference_model

#: All inputs of a node by dataset name → those that are to be others.
Change = Callable[[Mapping[str, Any]], dict[str, Any]]

_PARAMS, _SEED = "params:ablations", "params:seed"
_ROWS, _COT_LABELS = "params:sl_cai.rows", "params:preference_labeling.cot_labels"
_RL_CAI, _COT = "rl_cai.mixed_comparisons", "rl_cai_cot.mixed_comparisons"

#: Each ablation of labels: the variant of the run itself, and the others.
LABELS: dict[str, tuple[str, list[str]]] = {
    "soft or hard labels": ("soft", ["hard"]),
    "both option orders": ("soft", ["one_order"]),
    "principles per label": ("soft", ["ensemble"]),
    "clamp of labels after thoughts": ("clamped", list(labels.CLAMPS)),
}


def can_vary(lineage: Lineage, exam: Exam) -> bool:
    """Tell whether a run has all that the ablations vary, and a judge to see it.

    That is SL-CAI and both arms on AI labels with their preference models.
    """
    arms = {*lineage.ai_arms} & {*arms_with_preference_model(lineage)}
    return exam.judge and lineage.supervised == "sl_cai" and {"rl_cai", "rl_cai_cot"} <= arms


def create_pipeline(stages: Mapping[str, Pipeline]) -> Pipeline:
    """Build the ablations from the nodes of the other pipelines, which are given by name."""
    nodes = {node.name: node for pipeline in stages.values() for node in pipeline.nodes}
    made = [*_principles(nodes), *_critiques(), *_sl_rows(nodes), *_labels(nodes), *_chains(nodes)]
    effects = [name for node in made for name in node.outputs if name.endswith("_effects")]
    return Pipeline(
        [
            *made,
            Node(gather, inputs=effects, outputs=["ablations.metrics", "ablations.effect_metrics"], name="gather"),
        ],
        namespace="ablations",
        prefix_datasets_with_namespace=False,
    )


def gather(*tables: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Put the effects of all ablations into one long table, and the same as metrics for the tracker."""
    table = pd.concat(tables, ignore_index=True)
    metrics = {
        f"ablation.{row.ablation}.{row.variant}.{row.metric}".replace(" ", "_").replace(",", ""): Estimate(
            value=float(row.value),
            low=None if pd.isna(row.low) else float(row.low),
            high=None if pd.isna(row.high) else float(row.high),
            n=int(row.n),
        )
        for row in table.itertuples()
    }
    return table, metrics


def again(
    node: Node, name: str, outputs: list[str], exchanged: Mapping[str, str], change: Change | None = None
) -> Node:
    """Return a node once more, with other datasets in the place of some inputs, or what `change` makes of the inputs.

    `change` takes all inputs by their dataset names and returns those that it changes. An unknown input is a
    `KeyError`.
    """
    unknown = set(exchanged) - set(node.inputs)
    if unknown:
        raise KeyError(f"{node.name} has no input {sorted(unknown)}, only {node.inputs}")
    names, func = list(node.inputs), node.func

    @functools.wraps(func)  # with its annotations, by which Kedro checks and types the parameters
    def changed(*values: Any) -> Any:
        given = dict(zip(names, values, strict=True))
        return func(*{**given, **(change(given) if change else {})}.values())

    return Node(
        changed,
        inputs=[exchanged.get(given, given) for given in names],
        outputs=outputs[0] if len(outputs) == 1 else outputs,
        name=name,
        tags=node.tags,
    )


def _principles(nodes: Mapping[str, Node]) -> list[Node]:
    made = [
        Node(
            revisions.limit_responses,
            inputs=["initial_responses", _PARAMS, _SEED],
            outputs="ablations.first_responses",
            name="limit_responses",
        )
    ]
    for k in revisions.PRINCIPLES:
        constitution = f"ablations.constitution_{k}"
        made += [
            Node(
                revisions.first_principles(k),
                inputs=["constitution", _SEED],
                outputs=constitution,
                name=f"leave_{k}_principles",
            ),
            again(
                nodes["data_generation.critique_and_revise"],
                f"revise_under_{k}_principles",
                [f"ablations.under_{k}_principles_revisions"],
                {"constitution": constitution, "initial_responses": "ablations.first_responses"},
            ),
        ]
    inputs = {
        "prompts": "red_team_prompts",
        "judge": "judge",
        "preference_model": "rl_cai.preference.model@checkpoint",
        "params": _PARAMS,
        "seed": _SEED,
        **{f"revisions_{k}": f"ablations.under_{k}_principles_revisions" for k in revisions.PRINCIPLES},
    }
    return [
        *made,
        Node(revisions.rate_principles, inputs=inputs, outputs="ablations.principles_effects", name="rate_principles"),
    ]


def _critiques() -> list[Node]:
    return [
        Node(
            revisions.rate_critiques,
            inputs=[
                "red_team_prompts",
                "ablations.first_responses",
                "revisions",
                "direct_revisions",
                "judge",
                _PARAMS,
                _SEED,
            ],
            outputs="ablations.critiques_effects",
            name="rate_critiques",
        )
    ]


def _last(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_ROWS: given[_ROWS].model_copy(update={"revisions": "last"})}


def _as_many(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters by which revisions of all steps are as many as the last ones."""
    steps = given["revisions"]["step"]
    n = int((steps == steps.max()).sum())
    return {_ROWS: given[_ROWS].model_copy(update={"revisions": "all", "max_revisions": n})}


def _sl_rows(nodes: Mapping[str, Node]) -> list[Node]:
    made = []
    changes: dict[str, Change] = {"last": _last, "as_many": _as_many}
    for variant, change in changes.items():
        model = f"ablations.sl_cai_{variant}.model"
        made += [
            again(
                nodes["sl_cai.build_sl_rows"],
                f"build_rows_{variant}",
                [f"ablations.sl_{variant}_rows"],
                {},
                change,
            ),
            again(
                nodes["sl_cai.fine_tune"],
                f"fine_tune_on_{variant}",
                [f"{model}@checkpoint", f"ablations.sl_cai_{variant}_curves"],
                {"sl_rows": f"ablations.sl_{variant}_rows"},
            ),
            again(
                nodes["evaluation.answer_as_sl_cai"],
                f"answer_as_{variant}",
                [f"ablations.sl_cai_{variant}_eval_responses"],
                {"sl_cai.model@engine": f"{model}@engine"},
            ),
        ]
    inputs = [
        "policy_prompts",
        "eval_red_team_prompts",
        "policy_responses",
        "ablations.sl_cai_last_eval_responses",
        "ablations.sl_cai_as_many_eval_responses",
        "judge",
        _PARAMS,
        _SEED,
    ]
    return [
        *made,
        Node(revisions.rate_sl_policies, inputs=inputs, outputs="ablations.sl_rows_effects", name="rate_sl_policies"),
    ]


def _labels(nodes: Mapping[str, Node]) -> list[Node]:
    relabelled = [f"ablations.principle_{by}_relabelled_comparisons" for by in range(1, labels.ENSEMBLE)]
    made = []
    for by, table in enumerate(relabelled, start=1):
        constitution = f"ablations.rotated_constitution_{by}"
        made += [
            Node(labels.rotated(by), inputs=["constitution"], outputs=constitution, name=f"rotate_principles_{by}"),
            again(
                nodes["preference_labeling.label_pairs"],
                f"label_under_principle_{by}",
                [table],
                {"constitution": constitution},
            ),
        ]
    changes = {
        "hard": (labels.harden, [_RL_CAI]),
        "one_order": (labels.one_order, [_RL_CAI]),
        "ensemble": (labels.ensemble, [_RL_CAI, *relabelled]),
        **{variant: (labels.clamped(bounds), [_COT]) for variant, bounds in labels.CLAMPS.items()},
    }
    tables = {"soft": _RL_CAI, "clamped": _COT}
    models = {
        arm: f"{name}.preference.model@checkpoint" for arm, name in (("soft", "rl_cai"), ("clamped", "rl_cai_cot"))
    }
    for variant, (change, inputs) in changes.items():
        arm = "rl_cai_cot" if inputs == [_COT] else "rl_cai"
        table, model = f"ablations.{variant}_comparisons", f"ablations.pm_{variant}.model@checkpoint"
        made += [
            Node(change, inputs=inputs, outputs=table, name=f"relabel_{variant}"),
            again(
                nodes[f"{arm}.fit_preference_model"],
                f"fit_preference_model_{variant}",
                [model, f"ablations.pm_{variant}_curves"],
                {f"{arm}.mixed_comparisons": table},
            ),
        ]
        tables[variant], models[variant] = table, model
    made += [
        Node(
            labels.score_cases_of(variant),
            inputs=["preference_test_cases", model, _PARAMS],
            outputs=f"ablations.{variant}_scores",
            name=f"score_cases_{variant}",
        )
        for variant, model in models.items()
    ]
    given = {f"{variant}_comparisons": table for variant, table in tables.items()}
    given |= {f"{variant}_scores": f"ablations.{variant}_scores" for variant in tables}
    shared = {"cases": "preference_test_cases", "judge": "judge", "params": _PARAMS}
    return [
        *made,
        Node(
            labels.rate_labels_of(LABELS),
            inputs={**shared, **given},
            outputs="ablations.labels_effects",
            name="rate_labels",
        ),
    ]


def _chains(nodes: Mapping[str, Node]) -> list[Node]:
    made = [
        Node(
            labels.limit_pairs,
            inputs=["harmlessness_pairs", "ai_cot_comparisons", _PARAMS, _SEED],
            outputs="ablations.some_pairs",
            name="limit_pairs",
        )
    ]
    given = {}
    for n in labels.COT_SAMPLES:
        table = f"ablations.chains_{n}_relabelled_comparisons"
        made.append(
            again(
                nodes["preference_labeling.label_pairs_with_cot"],
                f"label_after_{n}_chains",
                [table],
                {"harmlessness_pairs": "ablations.some_pairs"},
                _with_chains(n),
            )
        )
        given[f"chains_{n}"] = table
    inputs = {"ai_cot_comparisons": "ai_cot_comparisons", "judge": "judge", "params": _PARAMS, **given}
    return [*made, Node(labels.rate_chains, inputs=inputs, outputs="ablations.chains_effects", name="rate_chains")]


def _with_chains(n: int) -> Change:
    return lambda given: {_COT_LABELS: given[_COT_LABELS].model_copy(update={"samples": n, "pairs": None})}
