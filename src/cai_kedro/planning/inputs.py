"""What a plan is made from: parameters, prompts, constitution; and the sizes that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cai_kedro.core.axes import Axes
from cai_kedro.core.comparison_sources import SOURCES
from cai_kedro.core.constitution import Constitution
from cai_kedro.core.lineage import Lineage
from cai_kedro.learning.processes import SharedParams
from cai_kedro.learning.sft import SFTParams
from cai_kedro.metrics.workload import Sizes, paper_sizes
from cai_kedro.pipelines.data_generation.prompt_tables import gather_held_out
from cai_kedro.pipelines.data_generation.red_team import RedTeamParams
from cai_kedro.pipelines.data_generation.revision import RevisionParams
from cai_kedro.pipelines.evaluation.exam import gather_eval_prompts
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.preference_labeling.cot_labels import CotLabelParams
from cai_kedro.pipelines.preference_labeling.labels import LabelParams
from cai_kedro.pipelines.sl_cai.rows import RowParams
from cai_kedro.templates.pairs import PairParams, PairSampling
from cai_kedro.templates.responses import AnswerParams, ResponseParams
from cai_kedro.templates.rlhf.parameters import ArmParams, ArmSettings, RLHFParams, Teacher, parameters_of


@dataclass(frozen=True)
class Settings:
    """The parameters of all stages, checked; `arms` holds those of each arm of the lineage."""

    seed: int
    lineage: Lineage
    red_team: RedTeamParams
    initial_responses: ResponseParams
    helpful_responses: ResponseParams
    revision: RevisionParams
    pairs: Mapping[str, PairParams]
    labels: LabelParams
    cot_labels: CotLabelParams
    rows: RowParams
    fine_tuning: SFTParams
    arms: Mapping[str, ArmSettings]
    evaluation: EvaluationParams
    weights: SharedParams

    def learning_from(self, what: Teacher) -> dict[str, ArmSettings]:
        """Return the arms that learn against a preference model, against the labeller, or from comparisons alone.

        The first of them is the one whose training is timed: the headline's, if it is one.
        """
        first = [self.lineage.headline] if self.lineage.headline in self.arms else []
        arms = {arm: self.arms[arm] for arm in (*first, *self.arms)}
        return {arm: params for arm, params in arms.items() if ArmParams.of(arm, self.lineage).teacher == what}


def settings_of(parameters: Mapping[str, Any]) -> Settings:
    """Read the parameters of a run; raises pydantic's `ValidationError` for what does not fit."""
    baselines, data = parameters["baselines"], parameters["data_generation"]
    labeling, sl_cai = parameters["preference_labeling"], parameters["sl_cai"]
    pairs = {name: block[name] for block in (baselines, labeling) for name in block if name.endswith("_pairs")}
    shared = RLHFParams.model_validate(parameters["rlhf"])
    lineage = Lineage.model_validate(parameters["lineage"])
    whose = {"base": lineage.base, "supervised": lineage.revised or lineage.base}
    answering = {source.pairs: lineage.stands_for(whose[source.answers]) for source in SOURCES.values()}
    return Settings(
        seed=parameters["seed"],
        lineage=lineage,
        red_team=RedTeamParams.model_validate(data["red_team"]),
        initial_responses=AnswerParams.model_validate(data["initial_responses"]).by(lineage.name_of("assistant")),
        helpful_responses=AnswerParams.model_validate(data["helpful_responses"]).by(lineage.name_of("assistant")),
        revision=RevisionParams.model_validate(data["revision"]),
        pairs={name: PairSampling.model_validate(block).by(answering[name]) for name, block in pairs.items()},
        labels=LabelParams.model_validate(labeling["labels"]),
        cot_labels=CotLabelParams.model_validate(labeling["cot_labels"]),
        rows=RowParams.model_validate(sl_cai["rows"]),
        fine_tuning=SFTParams.model_validate(sl_cai["fine_tuning"]),
        arms={arm: parameters_of(ArmParams.of(arm, lineage), shared) for arm in lineage.arms},
        evaluation=EvaluationParams.model_validate(parameters["evaluation"]),
        weights=SharedParams.model_validate(parameters["training"]),
    )


@dataclass(frozen=True)
class Material:
    """What people give: `prompts` tables, those of all axes by the name of their dataset, and the constitution."""

    red_team: pd.DataFrame
    helpful: pd.DataFrame
    axes: Axes
    held_out: Mapping[str, pd.DataFrame]
    constitution: Constitution

    @property
    def red_team_held_out(self) -> pd.DataFrame:
        """The held-out prompts that generated red-team prompts are kept apart from (`prompts`)."""
        return gather_held_out(*(self.held_out[table] for table in self.axes.held_out_of("red_team")))

    def asked(self, params: EvaluationParams, seed: int) -> pd.DataFrame:
        """The held-out prompts that every policy answers, on all axes, each once (`prompts`)."""
        return gather_eval_prompts(params, self.axes, seed, **self.held_out)[0]


def configured_sizes(settings: Settings, material: Material) -> Sizes:
    """Return the sizes that follow from the parameters and the given prompts, if as many are generated as are kept."""
    red_team = len(material.red_team) + settings.red_team.keep
    helpful = len(material.helpful)
    pairs = {
        name: _limited(params.prompts, number) * params.pairs_per_prompt
        for (name, number) in {
            "human_helpful_pairs": helpful,
            "human_red_team_pairs": len(material.red_team),
            "harmlessness_pairs": red_team,
            "sl_helpful_pairs": helpful,
        }.items()
        for params in [settings.pairs[name]]
    }
    initial = _limited(settings.initial_responses.prompts, red_team) * settings.initial_responses.samples
    helped = _limited(settings.helpful_responses.prompts, helpful) * settings.helpful_responses.samples
    steps = settings.revision.rounds if settings.rows.revisions == "all" else 1
    rows = _limited(settings.rows.max_revisions, initial * steps) + _limited(settings.rows.max_helpful, helped)
    asked = len(material.asked(settings.evaluation, settings.seed))
    cot_pairs = _limited(settings.cot_labels.pairs, pairs["harmlessness_pairs"])
    made = {source: cot_pairs if source == "ai_cot" else pairs[kind.pairs] for source, kind in SOURCES.items()}
    compared = {arm: sum(made[source] for source in settings.lineage.sources_of(arm)) for arm in settings.arms}
    scored, direct = settings.learning_from("preference_model"), settings.learning_from("comparisons")
    judged = settings.learning_from("judge")
    given = {arm: len(material.red_team) if arm in settings.lineage.baselines else red_team for arm in judged}
    return Sizes(
        red_team_lists=settings.red_team.lists,
        initial_responses=initial,
        helpful_responses=helped,
        rounds=settings.revision.rounds,
        **pairs,
        cot_pairs=cot_pairs,
        eval_answers=asked * len(settings.lineage.evaluated),
        fine_tuning_rows=settings.fine_tuning.epochs * rows,
        comparisons=sum(params.preference.epochs * compared[arm] for arm, params in scored.items()),
        episodes=sum(params.rl.rows(compared[arm]) for arm, params in {**scored, **judged}.items()),
        references=sum(
            _limited(params.prompts.red_team, given[arm]) + _limited(params.prompts.helpful, helpful)
            for arm, params in judged.items()
        ),
        judged_replies=sum(params.rl.rows(compared[arm]) for arm, params in judged.items()),
        direct_comparisons=sum(params.rl.rows(compared[arm]) for arm, params in direct.items()),
        checkpoints=len(settings.arms) + len(scored) + (settings.lineage.supervised is not None),
        snapshots=sum(
            params.rl.steps(compared[arm]) // params.rl.snapshot_every for arm, params in settings.arms.items()
        ),
    )


def sizes_of_paper(settings: Settings, configured: Sizes) -> Sizes:
    """Return the paper's sizes, with the configured number of lists for each prompt that is kept."""
    params = settings.red_team
    scored, direct = settings.learning_from("preference_model"), settings.learning_from("comparisons")
    return paper_sizes(
        configured,
        {arm: settings.lineage.sources_of(arm) for arm in scored},
        {arm: settings.lineage.sources_of(arm) for arm in direct},
        lists_per_prompt=params.lists / params.keep if params.keep else 1.0,
        epochs=(
            settings.fine_tuning.epochs,
            next((arm.preference.epochs for arm in scored.values()), 0),
            next((arm.rl.rows(1) for arm in direct.values()), 0),
        ),
    )


def _limited(limit: int | None, number: int) -> int:
    return number if limit is None else min(limit, number)
