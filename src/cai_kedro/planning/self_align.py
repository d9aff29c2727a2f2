"""What the four stages of SELF-ALIGN cost: a few rows of each, timed, and how many rows there will be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pandas as pd
from kedro.io import DataCatalog
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.axes import Axes, TrainingPrompts
from cai_kedro.core.conversation import user
from cai_kedro.core.gates import GateClosed
from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.core.question_types import QuestionTypes
from cai_kedro.core.rules import RuleSet
from cai_kedro.core.shards import ShardParams, ShardPlan, run_shard
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.metrics.workload import Cost
from cai_kedro.pipelines.self_align.cloning.answering import answer_verbosely
from cai_kedro.pipelines.self_align.cloning.params import CloningParams
from cai_kedro.pipelines.self_align.engraving.rows import EngravingParams
from cai_kedro.pipelines.self_align.self_alignment.answering import self_align
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams
from cai_kedro.pipelines.self_align.self_instruct.lists import (
    ListParams,
    plan_question_lists,
    plan_task_lists,
    plan_topic_lists,
)
from cai_kedro.pipelines.self_align.self_instruct.questions import FilterParams, filter_questions
from cai_kedro.pipelines.self_align.self_instruct.topics import TopicParams, choose_topics
from cai_kedro.pipelines.self_align.training import StageTrainingParams, train_stage
from cai_kedro.planning.meter import Meter
from cai_kedro.planning.timing import EMPTY, Sample, cost_of, some_of, timed
from cai_kedro.planning.training_trial import cost_of_training, seconds_a_row

_LISTS = ("topic_lists", "question_lists", "task_lists")


@dataclass(frozen=True)
class SelfAlignSettings:
    """The parameters of the four stages; those of a stage that trains no policy are not looked at."""

    seed: int
    trained: frozenset[str]
    topic_lists: ListParams
    topics: TopicParams
    question_lists: ListParams
    task_lists: ListParams
    filters: FilterParams
    self_alignment: SelfAlignmentParams
    engraving: EngravingParams
    cloning: CloningParams


def self_align_settings(parameters: Mapping[str, Any], lineage: Lineage) -> SelfAlignSettings:
    """Read the parameters of SELF-ALIGN; raises pydantic's `ValidationError` for what does not fit."""
    block = parameters["self_align"]
    lists = block["self_instruct"]
    return SelfAlignSettings(
        seed=parameters["seed"],
        trained=frozenset(stage for stage in (ENGRAVING, CLONING) if lineage.start_of_stage(stage) is not None),
        **{name: ListParams.model_validate(lists[name]) for name in _LISTS},
        topics=TopicParams.model_validate(lists["topics"]),
        filters=FilterParams.model_validate(lists["filters"]),
        self_alignment=SelfAlignmentParams.model_validate(block["self_alignment"]),
        engraving=EngravingParams.model_validate(block["engraving"]),
        cloning=CloningParams.model_validate(block["cloning"]),
    )


@dataclass(frozen=True)
class SelfAlignMaterial:
    """What people write for SELF-ALIGN, and the prompts of the evaluation that questions are kept apart from."""

    question_types: QuestionTypes
    seed_tasks: Sequence[str]
    rules: RuleSet
    held_out_phrases: Sequence[str]
    held_out: Mapping[str, pd.DataFrame]

    @property
    def questions(self) -> pd.DataFrame:
        """All questions that people gave, in the columns of `self_align_questions`: what the trials ask."""
        given = [(question, "topic_guided", kind, about) for kind, about, question in self.question_types.examples]
        texts = [*given, *((task, "self_instruct", None, None) for task in self.seed_tasks)]
        table = pd.DataFrame(texts, columns=["text", "source", "question_type", "topic"], dtype=object)
        table.insert(0, "prompt_id", [f"given-{place}" for place in range(len(table))])
        table.insert(1, "messages", pd.Series([[user(text)] for text in table["text"]], dtype=object))
        return table.drop(columns="text").sample(frac=1, random_state=0, ignore_index=True)


def self_align_material(catalog: DataCatalog) -> SelfAlignMaterial:
    """Read what people give; raises `DatasetError` for what is not there or cannot be read."""
    axes = Axes.model_validate(catalog.load("params:axes"))
    held_out = {table for kind in get_args(TrainingPrompts) for table in axes.held_out_of(kind)}
    return SelfAlignMaterial(
        question_types=catalog.load("question_types"),
        seed_tasks=catalog.load("seed_tasks"),
        rules=catalog.load("self_align_rules"),
        held_out_phrases=catalog.load("held_out_phrases"),
        held_out={table: catalog.load(table) for table in sorted(held_out)},
    )


@dataclass
class SelfAlignTrial:
    """Trials of all stages. Every stage asks the base model: the engraved one is as large and reads the same."""

    settings: SelfAlignSettings
    material: SelfAlignMaterial
    engine: TextEngine
    tokenizer: PreTrainedTokenizerBase
    prompts: int
    repeats: int
    _lists: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("topic_guided", "self_instruct"), 0))
    _kept: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("topic_guided", "self_instruct"), 0))
    _answers: pd.DataFrame = field(default_factory=pd.DataFrame)

    def costs(self, told: Callable[[str], None]) -> dict[str, Cost]:
        """Return the cost of a row of each stage that asks the model."""
        samples: dict[str, list[Sample]] = {}
        for repeat in range(self.repeats):
            told(f"timing {self.prompts} rows of each stage of SELF-ALIGN, {repeat + 1} of {self.repeats}")
            for stage, sample in self._once(repeat).items():
                samples.setdefault(stage, []).append(sample)
        return {stage: cost_of(of_stage, self.tokenizer) for stage, of_stage in samples.items()}

    def units(self) -> dict[str, int]:
        """Return stage → rows, after the trials: as many questions come out of a list as in these.

        All answers count as kept, and doubles among more lists than the trials had are not taken off.
        """
        given, params = self.material.question_types, self.settings
        topics = sum(len(one.examples) + params.topics.keep for one in given.types)
        lists = {"topic_guided": topics * params.question_lists.lists, "self_instruct": params.task_lists.lists}
        questions = round(sum(lists[of] * self._kept[of] / self._lists[of] for of in lists if self._lists[of]))
        units = {
            "topic_lists": len(given.types) * params.topic_lists.lists,
            "question_lists": lists["topic_guided"],
            "task_lists": lists["self_instruct"],
        }
        answers = _limited(params.self_alignment.questions, questions)
        verbose = _limited(params.cloning.questions, questions)
        if ENGRAVING in params.trained:
            units |= {"answers_under_rules": answers, "engraving": _learnt(params.engraving, answers)}
        if CLONING in params.trained:
            units |= {"verbose_answers": verbose, "cloning": _learnt(params.cloning, verbose)}
        return units

    def training_costs(self, load: Callable[[], LanguageModel]) -> dict[str, Cost]:
        """Return the cost of a row of each training, after the trials; `load` gives a fresh base model."""
        trainings: dict[str, StageTrainingParams] = {
            ENGRAVING: self.settings.engraving,
            CLONING: self.settings.cloning,
        }
        return {
            stage: cost_of_training([self._training(params, load, stage) for _ in range(self.repeats)])
            for stage, params in trainings.items()
            if stage in self.settings.trained
        }

    def _once(self, repeat: int) -> dict[str, Sample]:
        settings, given, seed = self.settings, self.material, self.settings.seed + repeat
        shards = ShardParams(prompts=self.prompts, max_quarantined=1.0)
        meters = {name: Meter(self.engine) for name in _LISTS}
        types = given.question_types
        made: dict[str, Sample] = {}
        plan = plan_topic_lists(types, meters["topic_lists"], settings.topic_lists, seed, shards)
        lists = self._made(plan, "topic_lists", meters, repeat, made)
        topics, left_out = choose_topics(lists, types, given.held_out_phrases, settings.topics)
        plan = plan_question_lists(topics, types, meters["question_lists"], settings.question_lists, seed, shards)
        questions = self._made(plan, "question_lists", meters, repeat, made)
        plan = plan_task_lists(given.seed_tasks, types, meters["task_lists"], settings.task_lists, seed, shards)
        tasks = self._made(plan, "task_lists", meters, repeat, made)
        self._count(questions, tasks, topics, left_out)
        return made | self._answered(repeat, seed)

    def _made(
        self, plan: ShardPlan, stage: str, meters: Mapping[str, Meter], repeat: int, made: dict[str, Sample]
    ) -> pd.DataFrame:
        """Make one shard of lists, another one in each repeat."""
        name = list(plan.shards)[repeat % len(plan.shards)]
        outcomes = []
        rows = len(plan.shards[name].ids)
        sample = timed(rows, meters[stage], lambda: outcomes.append(run_shard(plan, name)))
        made.update({stage: sample} if rows else {})
        return outcomes[0].rows

    def _count(
        self, questions: pd.DataFrame, tasks: pd.DataFrame, topics: pd.DataFrame, left_out: pd.DataFrame
    ) -> None:
        given = self.material
        self._lists["topic_guided"] += len(questions)
        self._lists["self_instruct"] += len(tasks)
        try:
            kept, _, _ = filter_questions(
                questions,
                tasks,
                topics,
                left_out,
                given.question_types,
                given.seed_tasks,
                given.held_out_phrases,
                self.settings.filters,
                **given.held_out,
            )
        except GateClosed:
            return
        for source, number in kept["source"].value_counts().items():
            self._kept[str(source)] += int(number)

    def _answered(self, repeat: int, seed: int) -> dict[str, Sample]:
        settings = self.settings
        questions = some_of(self.material.questions, self.prompts, repeat)
        meters = {stage: Meter(self.engine) for stage in (ENGRAVING, CLONING)}
        answering = settings.self_alignment.model_copy(update={"questions": None})
        cloning = settings.cloning.model_copy(update={"questions": None})
        tables = []
        samples = {
            "answers_under_rules": timed(
                len(questions),
                meters[ENGRAVING],
                lambda: tables.append(
                    self_align(questions, self.material.rules, meters[ENGRAVING], answering, seed).rows
                ),
            ),
            "verbose_answers": timed(
                len(questions),
                meters[CLONING],
                lambda: tables.append(answer_verbosely(questions, meters[CLONING], cloning, seed).rows),
            ),
        }
        self._answers = tables[1]
        return samples

    def _training(self, params: StageTrainingParams, load: Callable[[], LanguageModel], stage: str) -> float:
        tuning = params.fine_tuning
        size = min(tuning.batch_size, len(self._answers))
        small = tuning.model_copy(update={"batch_size": size, "epochs": 1, "checkpoints": None})
        params = params.model_copy(update={"fine_tuning": small})

        def train(rows: int) -> None:
            places = [row % len(self._answers) for row in range(rows)]
            table = self._answers[["prompt_id", "messages", "response"]].iloc[places].reset_index(drop=True)
            table = table.assign(
                row_id=[f"trial-{row}" for row in range(rows)],
                response=table["response"].fillna(EMPTY),
                source=stage,
                step=0,
            )
            train_stage(load(), table, params, self.settings.seed, stage)

        return seconds_a_row(train, size)


def _limited(limit: int | None, number: int) -> int:
    return number if limit is None else min(limit, number)


def _learnt(params: StageTrainingParams, answers: int) -> int:
    return params.fine_tuning.epochs * _limited(params.rows, answers)
