"""What teaching costs: a few lessons learnt and a few items of each skill asked, timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import pandas as pd
from kedro.io import DataCatalog
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.constitution import Constitution
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.metrics.workload import Cost
from cai_kedro.pipelines.teach_skills.lessons import build_held_out_lessons, build_lessons, skill_of
from cai_kedro.pipelines.teach_skills.measuring import ask_free_english, ask_lessons, with_messages
from cai_kedro.pipelines.teach_skills.params import MadeLessons, Measured, TeachingParams
from cai_kedro.pipelines.teach_skills.training import teach_model
from cai_kedro.planning.meter import Meter
from cai_kedro.planning.timing import Sample, cost_of, some_of, timed
from cai_kedro.planning.training_trial import cost_of_training, seconds_a_row


@dataclass(frozen=True)
class TeachingSettings:
    """The parameters of `teach_skills`."""

    seed: int
    lessons: MadeLessons
    teaching: TeachingParams
    skills: Measured

    @property
    def looks(self) -> tuple[int, int]:
        """How often the skills are measured on all items, and how often on fewer: at steps between."""
        tuning = self.teaching.fine_tuning
        steps = tuning.epochs * ceil(self.lessons.rows / tuning.batch_size)
        return 2, len(range(tuning.snapshot_every, steps, tuning.snapshot_every))


def teaching_settings(parameters: Mapping[str, Any]) -> TeachingSettings:
    """Read the parameters of `teach_skills`; raises pydantic's `ValidationError` for what does not fit."""
    block = parameters["teach_skills"]
    return TeachingSettings(
        seed=parameters["seed"],
        lessons=MadeLessons.model_validate(block["lessons"]),
        teaching=TeachingParams.model_validate(block["teaching"]),
        skills=Measured.model_validate(block["skills"]),
    )


@dataclass(frozen=True)
class TeachingMaterial:
    """Free English, and the constitution under whose principles critiques are asked for."""

    requests: pd.DataFrame
    pairs: pd.DataFrame
    constitution: Constitution


def teaching_material(catalog: DataCatalog) -> TeachingMaterial:
    """Read what skills are measured with."""
    return TeachingMaterial(*(catalog.load(f"free_english_{name}") for name in ("requests", "pairs", "constitution")))


@dataclass(frozen=True)
class TeachingTrial:
    """Trials of teaching. The untaught model is asked in the place of the taught one, which is as large."""

    settings: TeachingSettings
    material: TeachingMaterial
    engine: TextEngine
    tokenizer: PreTrainedTokenizerBase
    prompts: int
    repeats: int

    def costs(self, told: Callable[[str], None]) -> dict[str, Cost]:
        """Return the cost of a held-out lesson and of an item of free English that are asked.

        In free English an item is a request, or a pair of replies to one: about both questions, a critique, a revision.
        """
        samples: dict[str, list[Sample]] = {"held_out_lessons": [], "free_english": []}
        for repeat in range(self.repeats):
            told(f"timing {self.prompts} lessons and items of free English, {repeat + 1} of {self.repeats}")
            for stage, sample in self._once(repeat).items():
                samples[stage].append(sample)
        return {stage: cost_of(of_stage, self.tokenizer) for stage, of_stage in samples.items()}

    def units(self) -> dict[str, int]:
        """Return stage → rows: lessons learnt from, with epochs, and items asked over all looks at the skills."""
        params = self.settings.skills
        whole, along = self.settings.looks
        given = len(self.material.requests), len(self.material.pairs)
        skills = skill_of(self._held_out(1)).nunique()
        whole_free = sum(n if params.free is None else min(params.free, n) for n in given)
        along_free = sum(min(params.free_along, n) for n in given)
        return {
            "teaching": self.settings.teaching.fine_tuning.epochs * self.settings.lessons.rows,
            "held_out_lessons": skills * (whole * params.held_out + along * params.held_out_along),
            "free_english": whole * whole_free + along * along_free,
        }

    def training_costs(self, load: Callable[[], LanguageModel]) -> dict[str, Cost]:
        """Return the cost of a lesson that is learnt from; `load` gives a fresh untaught model."""
        tuning = self.settings.teaching.fine_tuning.model_copy(update={"epochs": 1, "checkpoints": None})
        params = self.settings.teaching.model_copy(update={"fine_tuning": tuning})

        def train(rows: int) -> None:
            last = self.settings.lessons.phases[-1].model_copy(update={"count": rows})
            lessons = build_lessons(
                self.settings.lessons.model_copy(update={"phases": [last]}), self.settings.seed
            ).head(rows)
            teach_model(load(), lessons, params, self.settings.seed)

        return {"teaching": cost_of_training([seconds_a_row(train, tuning.batch_size) for _ in range(self.repeats)])}

    def _once(self, repeat: int) -> dict[str, Sample]:
        params, seed = self.settings.skills, self.settings.seed + repeat
        every = self._held_out(2).sample(frac=1, random_state=repeat, ignore_index=True)
        lessons = some_of(every, self.prompts, repeat)
        requests = some_of(self.material.requests.sample(frac=1, random_state=0), self.prompts, repeat)
        pairs = some_of(with_messages(self.material.pairs, self.material.requests), self.prompts, repeat)
        meters = Meter(self.engine), Meter(self.engine)
        return {
            "held_out_lessons": timed(len(lessons), meters[0], lambda: ask_lessons(meters[0], lessons, params, seed)),
            "free_english": timed(
                len(requests) + len(pairs),
                meters[1],
                lambda: ask_free_english(meters[1], requests, pairs, self.material.constitution, params, seed),
            ),
        }

    def _held_out(self, each: int) -> pd.DataFrame:
        return build_held_out_lessons(self.settings.skills.model_copy(update={"held_out": each}), self.settings.seed)
