"""The wiring of the report."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from kedro.pipeline import Node, Pipeline

from cai_kedro.core.axes import Axes
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.reporting.nodes import gather_answers, gather_chains, gather_comparisons, write_report
from cai_kedro.reporting.figures.accuracy import draw_choices, draw_contrasts, draw_hard_tests
from cai_kedro.reporting.figures.along import draw_harmfulness, draw_snapshot_ratings
from cai_kedro.reporting.figures.behaviour import draw_behaviours, draw_evasion
from cai_kedro.reporting.figures.benchmarks import draw_benchmarks
from cai_kedro.reporting.figures.curves import preference_curves_of, rl_curves_of
from cai_kedro.reporting.figures.harms import draw_harms, draw_transparency
from cai_kedro.reporting.figures.labels import draw_calibration
from cai_kedro.reporting.figures.over_training import over_training_of
from cai_kedro.reporting.figures.raters import draw_rater_agreement
from cai_kedro.reporting.figures.ratings import draw_frontier, draw_ratings
from cai_kedro.reporting.figures.revisions import draw_critiques, draw_rounds
from cai_kedro.reporting.figures.rules import draw_rule_usage
from cai_kedro.reporting.figures.style import Cast, drawn_with
from cai_kedro.templates.rlhf import arms_with_preference_model, step_unit


@dataclass(frozen=True)
class Figure:
    """One figure of the report: saved as `{name}_figure`, drawn from `inputs` where a run makes what it `needs`.

    What it needs is all of its inputs, if nothing else is said; inputs that are not made are left out.
    """

    name: str
    draw: Callable[..., go.Figure]
    inputs: tuple[str, ...]
    needs: tuple[str, ...] | None = None

    def given(self, made: Collection[str]) -> list[str]:
        """Return the inputs that are made; none where the figure cannot be drawn."""
        needs = self.inputs if self.needs is None else self.needs
        return [name for name in self.inputs if name in made] if set(needs) <= set(made) else []


def figures_of(arms: tuple[str, ...], scoring: tuple[str, ...], axes: Axes) -> tuple[Figure, ...]:
    """Return all figures in the order of the page; `scoring` are the arms with a preference model.

    A new figure is one function and one line.
    """
    return (
        Figure("frontier", draw_frontier, ("elo_metrics",)),
        Figure("ratings", draw_ratings, ("elo_metrics", "elo_gap_metrics")),
        Figure("evasion", draw_evasion, ("behaviour_metrics",)),
        Figure("behaviours", draw_behaviours, ("behaviour_metrics",)),
        Figure("transparency", draw_transparency, ("evaluation.transparency_metrics",)),
        Figure("harms", draw_harms, ("evaluation.harm_gaps_metrics",)),
        Figure("benchmarks", draw_benchmarks, ("evaluation.benchmark_metrics",)),
        Figure("rule_usage", draw_rule_usage, ("self_align.rule_usage",)),
        Figure("snapshot_ratings", draw_snapshot_ratings, ("evaluation.snapshot_elo_metrics",)),
        Figure("harmfulness", draw_harmfulness, ("evaluation.absolute_harmfulness_metrics",)),
        Figure(
            "over_training",
            over_training_of(arms, axes.of_training("red_team")),
            ("evaluation.over_training_metrics", *(f"{arm}.snapshot_choice" for arm in arms)),
        ),
        Figure("rounds", draw_rounds, ("revision_metrics",)),
        Figure("critiques", draw_critiques, ("revision_metrics",), needs=("revision_judgements",)),
        Figure("calibration", draw_calibration, ("label_reliability", "label_metrics")),
        Figure(
            "choices",
            draw_choices,
            ("label_metrics", "preference_accuracy_metrics", *(f"{arm}.preference_metrics" for arm in scoring)),
            needs=(),
        ),
        Figure("contrasts", draw_contrasts, ("preference_accuracy_metrics",)),
        Figure("hard_tests", draw_hard_tests, ("hard_test_accuracy",)),
        Figure("rater_agreement", draw_rater_agreement, ("rater_agreement_metrics",)),
        Figure(
            "preference_curves", preference_curves_of(scoring), tuple(f"{arm}.preference_curves" for arm in scoring)
        ),
        Figure("rl_curves", rl_curves_of(arms), tuple(f"{arm}.policy_curves" for arm in arms)),
    )


_PARAMS, _SEED = "params:reporting", "params:seed"


def create_pipeline(lineage: Lineage, axes: Axes, made: Collection[str]) -> Pipeline:
    """From the tables of a run to its report; `made` are the datasets that the other pipelines of this run make."""
    figures = figures_of(lineage.arms, arms_with_preference_model(lineage), axes)
    headline = lineage.headline
    cast = Cast(tuple(lineage.evaluated), lineage.zero, headline, lineage.compared_with(headline), step_unit(lineage))
    parts = [*_transcripts(lineage, made), *_figures(figures, cast, made)]
    return Pipeline(
        [*parts, _report([name for node in parts for name in node.outputs], made)],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )


def _figures(figures: Sequence[Figure], cast: Cast, made: Collection[str]) -> list[Node]:
    return [
        Node(drawn_with(cast, figure.draw), inputs=given, outputs=f"{figure.name}_figure", name=f"draw_{figure.name}")
        for figure in figures
        if (given := figure.given(made))
    ]


def _transcripts(lineage: Lineage, made: Collection[str]) -> list[Node]:
    """Return the nodes that gather transcripts: each from the tables it needs, and from others that are made."""
    tables = (*lineage.tables_by("labeller").values(), *lineage.tables_by("thinker").values())
    labelled = tuple(table for table in tables if table in made)
    kinds: tuple[tuple[Callable[..., dict[str, Any]], str, tuple[str, ...], tuple[str, ...]], ...] = (
        (gather_answers, "answer", ("policy_prompts", "policy_responses", "prompt_axes"), ("policy_judgements",)),
        (
            gather_chains,
            "chain",
            ("red_team_prompts", "initial_responses", "revisions", "direct_revisions"),
            ("revision_scores", "revision_judgements"),
        ),
        *([(gather_comparisons, "comparison", ("red_team_prompts", *labelled), ())] if labelled else []),
    )
    return [
        Node(
            gather,
            inputs={name: name for name in (*needed, *(name for name in beside if name in made))}
            | {"params": _PARAMS, "seed": _SEED},
            outputs=f"{kind}_transcripts",
            name=f"gather_{kind}s",
        )
        for gather, kind, needed, beside in kinds
        if set(needed) <= set(made)
    ]


def _report(parts: Sequence[str], made: Collection[str]) -> Node:
    return Node(
        write_report,
        inputs={
            "policy_summary": "policy_summary",
            "not_measured": "not_measured",
            "study_verdicts": "study_verdicts",
            "constitution": "constitution",
            "machine": "machine",
            "seed": _SEED,
            **({"referee_metrics": "referee_metrics"} if "referee_metrics" in made else {}),
            **{name: name for name in parts},
        },
        outputs="report",
        name="write_report",
    )
