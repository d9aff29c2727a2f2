"""A few rows of every stage that asks an engine, timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.conversation import as_messages, render
from cai_kedro.engines.base import TextEngine
from cai_kedro.metrics.workload import Cost
from cai_kedro.pipelines.data_generation.red_team import generate_red_team_prompts
from cai_kedro.pipelines.data_generation.revision import critique_and_revise, revise_directly
from cai_kedro.pipelines.evaluation.answers import answer
from cai_kedro.pipelines.preference_labeling.cot_labels import label_pairs_with_cot
from cai_kedro.pipelines.preference_labeling.labels import label_pairs
from cai_kedro.planning.inputs import Material, Settings
from cai_kedro.planning.meter import Meter
from cai_kedro.planning.timing import EMPTY, Sample, cost_of, some_of, timed
from cai_kedro.templates.pairs import PairParams, sample_pairs
from cai_kedro.templates.responses import ResponseParams, sample_responses
from cai_kedro.templates.rlhf.judged import labeller_reward, reference_params
from cai_kedro.templates.rlhf.parameters import ArmSettings

_ROUNDS = 2  # later rounds read as much as the second one


@dataclass(frozen=True)
class Trial:
    """What the trials need. `engines` are by who asks them: base, revised, and the roles."""

    settings: Settings
    material: Material
    engines: Mapping[str, TextEngine]
    tokenizer: PreTrainedTokenizerBase
    prompts: int
    repeats: int

    def costs(self, told: Callable[[str], None]) -> tuple[dict[str, Cost], pd.DataFrame]:
        """Return the cost of a row of each stage, and the pairs of the last trial (`pairs`)."""
        samples: dict[str, list[Sample]] = {}
        pairs = pd.DataFrame()
        for repeat in range(self.repeats):
            told(f"timing {self.prompts} prompts a stage, {repeat + 1} of {self.repeats}")
            made, pairs = self._once(repeat)
            for stage, sample in made.items():
                samples.setdefault(stage, []).append(sample)
        return {stage: cost_of(of_stage, self.tokenizer) for stage, of_stage in samples.items()}, pairs

    def _once(self, repeat: int) -> tuple[dict[str, Sample], pd.DataFrame]:
        settings, seed = self.settings, self.settings.seed + repeat
        red_team, helpful = (some_of(t, self.prompts, repeat) for t in (self.material.red_team, self.material.helpful))
        made = {
            "human_helpful_pairs": self._pairs("human_helpful_pairs", helpful, "base", seed),
            "human_red_team_pairs": self._pairs("human_red_team_pairs", red_team, "base", seed),
            "red_team_lists": self._lists(seed),
            "initial_responses": self._responses(settings.initial_responses, red_team, seed),
            "helpful_responses": self._responses(settings.helpful_responses, helpful, seed),
        }
        answers = made["initial_responses"].meter.written
        made["revisions"] = self._revisions(critique_and_revise, red_team, answers, seed)
        made["direct_revisions"] = self._revisions(revise_directly, red_team, answers, seed)
        made["harmlessness_pairs"] = self._pairs("harmlessness_pairs", red_team, "revised", seed)
        made["sl_helpful_pairs"] = self._pairs("sl_helpful_pairs", helpful, "revised", seed)
        pairs = pairs_of(red_team, made["harmlessness_pairs"].meter.written)
        made["labels"] = self._labels(pairs, seed)
        made["cot_labels"] = self._cot_labels(pairs, seed)
        for arm in list(settings.learning_from("judge").values())[:1]:
            made["references"] = self._references(arm, red_team, seed)
            made["judged_replies"] = self._judged_replies(arm, pairs, seed)
        made["eval_responses"] = self._eval_responses(repeat, seed)
        return made, pairs

    def _pairs(self, name: str, prompts: pd.DataFrame, policy: str, seed: int) -> Sample:
        params: PairParams = self.settings.pairs[name].model_copy(update={"prompts": None})
        meter = Meter(self.engines[policy])
        rows = len(prompts) * params.pairs_per_prompt
        beside = _asked_bytes(prompts) * params.pairs_per_prompt
        return timed(rows, meter, lambda: sample_pairs(prompts, meter, params, seed), beside)

    def _responses(self, params: ResponseParams, prompts: pd.DataFrame, seed: int) -> Sample:
        meter = Meter(self.engines["assistant"])
        every = params.model_copy(update={"prompts": None})
        return timed(len(prompts) * params.samples, meter, lambda: sample_responses(prompts, meter, every, seed))

    def _lists(self, seed: int) -> Sample:
        meter = Meter(self.engines["red_teamer"])
        params = self.settings.red_team.model_copy(update={"lists": self.prompts})
        given = self.material
        return timed(
            self.prompts,
            meter,
            lambda: generate_red_team_prompts(
                given.red_team, given.red_team_held_out, given.constitution, meter, params, seed
            ),
        )

    def _revisions(self, revise: Callable[..., object], prompts: pd.DataFrame, answers: list[str], seed: int) -> Sample:
        params = self.settings.revision
        params = params.model_copy(update={"rounds": min(_ROUNDS, params.rounds)})
        meter = Meter(self.engines["critic"])
        drafts = pd.DataFrame(
            {
                "prompt_id": prompts["prompt_id"],
                "sample": 0,
                "policy": self.settings.lineage.name_of("assistant"),
                "response": [text or EMPTY for text in answers[:: self.settings.initial_responses.samples]],
            }
        )
        return timed(
            len(drafts) * params.rounds,
            meter,
            lambda: revise(prompts, drafts, self.material.constitution, meter, params, seed),
        )

    def _labels(self, pairs: pd.DataFrame, seed: int) -> Sample:
        meter, given = Meter(self.engines["labeller"]), self.material.constitution

        def label() -> object:
            return label_pairs(pairs, given, meter, self.settings.labels, seed)

        return timed(len(pairs), meter, label, _pair_bytes(pairs))

    def _cot_labels(self, pairs: pd.DataFrame, seed: int) -> Sample:
        params = self.settings.cot_labels
        meter, given = Meter(self.engines["thinker"]), self.material.constitution

        def label() -> object:
            return label_pairs_with_cot(pairs, given, meter, params, seed)

        return timed(len(pairs), meter, label, _pair_bytes(pairs))

    def _references(self, arm: ArmSettings, prompts: pd.DataFrame, seed: int) -> Sample:
        meter, params = Meter(self.engines["revised"]), reference_params("trial", arm.rl)
        return timed(len(prompts), meter, lambda: sample_responses(prompts, meter, params, seed))

    def _judged_replies(self, arm: ArmSettings, pairs: pd.DataFrame, seed: int) -> Sample:
        """Have the labeller reward the first answer of each pair, with the second one as the reference."""
        meter = Meter(self.engines["labeller"])
        questions = pairs[["prompt_id", "messages"]].assign(
            reference=pairs["response_b"],
            objective="harmlessness",
            principle_id=self.material.constitution.preference_principles[0].id,
        )
        reward = labeller_reward(questions, self.material.constitution, meter, arm.judge, seed)
        return timed(len(pairs), meter, lambda: reward.score(list(pairs["prompt_id"]), list(pairs["response_a"])))

    def _eval_responses(self, repeat: int, seed: int) -> Sample:
        given = self.material
        asked = given.asked(self.settings.evaluation, self.settings.seed)
        prompts = some_of(asked.sample(frac=1, random_state=0), self.prompts, repeat)
        meter = Meter(self.engines["revised"])
        sampling = self.settings.evaluation.sampling
        return timed(len(prompts), meter, lambda: answer("trial", prompts, meter, sampling, seed))


def pairs_of(prompts: pd.DataFrame, answers: list[str]) -> pd.DataFrame:
    """Return the first two answers to each prompt (`pairs`), equal or not."""
    each = len(answers) // len(prompts)
    return pd.DataFrame(
        {
            "pair_id": [f"{prompt_id}.trial" for prompt_id in prompts["prompt_id"]],
            "prompt_id": prompts["prompt_id"],
            "messages": prompts["messages"],
            "response_a": [text or EMPTY for text in answers[::each]],
            "response_b": [text or EMPTY for text in answers[1::each]],
            "kind": "sampled",
        }
    )


def _asked_bytes(table: pd.DataFrame) -> int:
    return sum(len(render(as_messages(cell)).encode()) for cell in table["messages"])


def _pair_bytes(pairs: pd.DataFrame) -> int:
    answers = [*pairs["response_a"], *pairs["response_b"]]
    return _asked_bytes(pairs) + sum(len(answer.encode()) for answer in answers)
