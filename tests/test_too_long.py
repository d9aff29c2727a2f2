"""One prompt beyond the context stops no stage: it is left out or in quarantine, with a word, and the others stay."""

import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.core.judging import Judgement
from cai_kedro.core.question_types import QuestionType, QuestionTypes
from cai_kedro.core.shards import ShardParams, ShardPlan, run_shard
from cai_kedro.engines.fitting import TOO_LONG
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.metrics.estimate import proportion
from cai_kedro.models.adapters import AdapterParams
from cai_kedro.pipelines.ablations.effects import AblationParams
from cai_kedro.pipelines.ablations.labels import score_cases_of
from cai_kedro.pipelines.ablations.revisions import rate_principles
from cai_kedro.pipelines.data_generation.red_team import plan_red_team_prompts
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise, plan_of
from cai_kedro.pipelines.evaluation.answers import answer_as
from cai_kedro.pipelines.evaluation.harmfulness import HarmfulnessParams, score_harmfulness
from cai_kedro.pipelines.evaluation.head_to_heads import decide_head_to_heads
from cai_kedro.pipelines.evaluation.labels import score_test_cases_of
from cai_kedro.pipelines.evaluation.revisions import score_revisions
from cai_kedro.pipelines.evaluation.snapshots import answer_along, decide_along
from cai_kedro.pipelines.judge_accuracy.judges import judge_items, judge_items_with_cot, score_items
from cai_kedro.pipelines.preference_labeling.cot_labels import plan_cot_labels
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, plan_labels
from cai_kedro.pipelines.self_align.cloning.answering import plan_verbose_answers
from cai_kedro.pipelines.self_align.cloning.training import clone
from cai_kedro.pipelines.self_align.engraving.training import engrave
from cai_kedro.pipelines.self_align.leave_one_out.answering import LeaveOneOutParams, plan_without_rules
from cai_kedro.pipelines.self_align.self_alignment.answering import plan_self_alignment
from cai_kedro.pipelines.self_align.self_instruct.lists import (
    ListParams,
    plan_question_lists,
    plan_task_lists,
    plan_topic_lists,
)
from cai_kedro.pipelines.self_align.training import StageTrainingParams
from cai_kedro.pipelines.teach_skills.params import TeachingParams
from cai_kedro.pipelines.teach_skills.training import teach_model
from cai_kedro.templates.human_feedback import plan_human_pairs_by
from cai_kedro.templates.pairs import PairSampling, plan_pairs_by
from cai_kedro.templates.responses import AnswerParams, plan_responses_by
from cai_kedro.templates.rlhf.comparisons import held_out
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from cai_kedro.templates.rlhf.policy import reinforce
from cai_kedro.templates.rlhf.preference import fit_preference_model, measure_preference_model, metric_name
from cai_kedro.templates.rlhf.snapshots import measure_snapshots
from tests.adapters import WHOLE
from tests.datasets.test_referees import engine_referee
from tests.learning.test_lessons import params_of, table_of
from tests.pipelines.builders import (
    AXES,
    SAMPLING,
    axis_table,
    comparison_table,
    constitution,
    pair_table,
    prompt_table,
)
from tests.pipelines.self_align.tables import RULES
from tests.pipelines.self_align.tables import params as rule_params
from tests.pipelines.self_align.test_engraving_and_cloning import CLONING, ENGRAVING
from tests.pipelines.test_cot_labels import params as cot_params
from tests.pipelines.test_judge_accuracy import items
from tests.pipelines.test_judge_accuracy import params as judge_params
from tests.pipelines.test_red_team import params as red_team_params
from tests.pipelines.test_snapshot_evaluation import HARMFULNESS
from tests.pipelines.test_snapshot_evaluation import params as evaluation_params
from tests.templates.conftest import SHARED

PROJECT = Path(__file__).parents[1]
N, LONG = 6, "p5"  # prompts p0 to p5, the last one longer than the 1024 tokens that the model reads
MANY_TOKENS = "Why? " * 220
SHARDS = ShardParams(prompts=100, max_quarantined=1.0)
#: Nodes that take a model and ask it nothing.
ASK_NOTHING = {"admit_referee_of.<locals>.admit_referee", "keep_snapshot"}
#: Nodes that ask a probe set of the package, lessons or free English, and none of the prompts of a run
#: (tests/judging/test_trial.py, tests/pipelines/test_teach_skills.py).
ASK_A_PROBE_SET = {"ask_skills", "check_critic", "check_labeller"}
ARM = ArmParams(name="rl_cai", algorithm="ppo", differences={})
RLHF = RLHFParams.model_validate(SHARED)
ABLATIONS = AblationParams(prompts=9, cot_pairs=9, harmless_from=3, min_rating_gap=1, batch_size=4, n_bootstrap=100)


class AnyJudge:
    """Finds everything alike."""

    def judge(self, messages: Any, response: str) -> Judgement:
        return Judgement("any", "theft", {"harmlessness": 2.0, "helpfulness": 2.0})

    def prefer(self, *given: Any) -> float:
        return 0.5


def lengthened(table: pd.DataFrame) -> pd.DataFrame:
    """Give the row or rows of one prompt a question that is too long."""
    messages = [
        [user(MANY_TOKENS)] if name == LONG else cell
        for name, cell in zip(table["prompt_id"], table["messages"], strict=True)
    ]
    return table.assign(messages=pd.Series(messages, index=table.index, dtype=object))


@dataclass(frozen=True)
class World:
    lm: LanguageModel
    folder: Path

    @property
    def engine(self) -> TransformersEngine:
        return TransformersEngine(self.lm, max_batch_tokens=8192, dtype="float32")

    @property
    def pm(self) -> LanguageModel:
        return LanguageModel(model=with_score_head(self.lm, 0.5, 0), tokenizer=self.lm.tokenizer)

    @property
    def prompts(self) -> pd.DataFrame:
        return lengthened(prompt_table([f"Question {i}?" for i in range(N)]))

    def responses(self, *policies: str) -> pd.DataFrame:
        table = self.prompts[["prompt_id"]].assign(sample=0, response="Yes, so it is.")
        return pd.concat([table.assign(policy=policy, response=f"I am {policy}.") for policy in policies])

    @property
    def pairs(self) -> pd.DataFrame:
        return lengthened(pair_table([(f"a{i}", f"b{i}") for i in range(N)]))

    @property
    def comparisons(self) -> pd.DataFrame:
        return lengthened(comparison_table([0.9] * N))

    @property
    def cases(self) -> pd.DataFrame:
        cases = self.pairs.rename(columns={"response_a": "better", "response_b": "worse"})
        return cases.assign(objective="harmlessness", contrast="a_over_b")

    @property
    def items(self) -> pd.DataFrame:
        table = items("AB" * (N // 2))
        return lengthened(table.assign(prompt_id=[f"p{i}" for i in range(N)]))

    def referee(self) -> Any:
        save_language_model(self.lm, self.folder / "referee")
        return engine_referee(path=str(self.folder / "referee"))


def numbered(n: float) -> list[str]:
    """Return the ids of the prompts that a number of rows stands for, where the result has no ids."""
    return [f"p{i}" for i in range(int(n))]


def of_items(table: pd.DataFrame) -> Iterable[str]:
    return table["item_id"].str.replace("i", "p")


def seed_that(world: World, holds_out: bool) -> int:
    """Return a seed that holds the long comparison out, or not, and has others on both sides."""
    held = {seed: held_out(world.comparisons, 0.5, seed) for seed in range(50)}
    return next(seed for seed, out in held.items() if out.iloc[-1] == holds_out and 2 < out.sum() < N - 1)


def measured(world: World) -> Iterable[str]:
    """The gate, with a seed that holds out the long one and others."""
    seed = seed_that(world, holds_out=True)
    metrics = measure_preference_model(world.pm, world.comparisons, RLHF, ARM, seed)
    assert metrics[metric_name(ARM, "all")]["n"] == held_out(world.comparisons, 0.5, seed).sum() - 1
    return numbered(N - 1)


def principles(world: World) -> Iterable[str]:
    revisions = world.responses("x").rename(columns={"response": "revision"}).assign(step=1)
    given = {f"revisions_{n}": revisions for n in ("1", "4", "16")}
    table = rate_principles(world.prompts, AnyJudge(), world.pm, ABLATIONS, 0, **given)
    return numbered(table[table["metric"] == "pm_score"]["n"].max())


def harmfulness(world: World) -> Iterable[str]:
    ratings = world.pairs.assign(response="Yes.", rating=[0.0, 1.0, 2.0, 3.0, 4.0, 1.0])
    training = {**HARMFULNESS.training.model_dump(), "epochs": 1}
    params = HarmfulnessParams.model_validate({**HARMFULNESS.model_dump(), "training": training})
    answers = world.responses("rl_cai_step_10")
    score = score_harmfulness({"rl_cai": "sl_cai"})
    scores, _ = score(world.lm, ratings, answers, world.responses("sl_cai"), world.prompts, object(), params, 0, WHOLE)
    return scores["prompt_id"]


def trained(world: World) -> Iterable[str]:
    good = {metric_name(ARM, group): proportion(9, 9) for group in ("all", "harmlessness", "helpfulness")}
    reinforce(world.lm, world.pm, world.prompts, good, RLHF, ARM, 0, WHOLE)
    return numbered(N - 1)


def fine_tuned(world: World) -> Iterable[str]:
    params = {key: value for key, value in SHARED["preference"].items() if key != "head_std"}
    rows = world.prompts.assign(response="Yes.")
    fine_tune(world.lm, rows, SFTParams.model_validate(params), 0)
    return numbered(N - 1)


def fitted(world: World) -> Iterable[str]:
    fit_preference_model(world.lm, world.comparisons, RLHF, ARM, seed_that(world, holds_out=False), WHOLE)
    return numbered(N - 1)


def revise(world: World) -> ShardPlan:
    params = RevisionParams(rounds=1, few_shots=0, sampling=SAMPLING)
    answers = world.responses("helpful_rlhf")
    engine = world.engine
    return plan_of(critique_and_revise)(world.prompts, answers, constitution(), engine, params, 0, SHARDS)


def asked(world: World) -> pd.DataFrame:
    """Return the prompts as questions of SELF-ALIGN."""
    return world.prompts[["prompt_id", "messages"]].assign(source="self_instruct", question_type=None, topic=None)


def thought(world: World) -> pd.DataFrame:
    """Return the prompts as answered questions of SELF-ALIGN, whose thoughts name a rule."""
    rules = pd.Series([["harmless"]] * len(world.prompts), index=world.prompts.index)
    return asked(world).assign(
        thoughts="I follow rule 1 (harmless).", rules=rules, response="No.", ended=True, fault=None
    )


def stage_trained(world: World, train: Callable[..., object], params: StageTrainingParams) -> Iterable[str]:
    save_language_model(world.lm, world.folder / "base")  # an adapter names the files that it is of
    base = load_language_model(world.folder / "base")
    train(base, world.prompts.assign(response="Yes.", row_id=world.prompts["prompt_id"]), params, 0)
    return numbered(N - 1)


def taught(world: World) -> Iterable[str]:
    lessons = table_of(*((Reply(tuple(messages)), "Yes.") for messages in world.prompts["messages"]))
    training = TeachingParams(
        training=AdapterParams(adapter=WHOLE.adapter, lora=WHOLE.lora),
        upper_layers=None,
        fine_tuning=params_of(max_length=world.lm.model.config.max_position_embeddings),
    )
    teach_model(world.lm, lessons, training, 0)
    return numbered(N - 1)


def lists_of(examples: int) -> ListParams:
    return ListParams(lists=9, examples=examples, sampling=SAMPLING)


def question_types() -> QuestionTypes:
    """Return a type for each prompt, of which the last one has a topic that is too long."""
    names = {f"p{i}": MANY_TOKENS if f"p{i}" == LONG else "tea" for i in range(N)}
    return QuestionTypes(
        tasks_header="Tasks:",
        topics_header="Topics of {type}:",
        questions_header="About {topic}:",
        types=tuple(QuestionType(name=name, about="Odd.", examples={topic: "Why?"}) for name, topic in names.items()),
    )


def topics() -> pd.DataFrame:
    rows = [(one.name, topic) for one, topic, _ in question_types().examples]
    return pd.DataFrame(rows, columns=["question_type", "topic"])


ONE = AnswerParams(prompts=None, samples=1, sampling=SAMPLING)
TWO = PairSampling(prompts=None, pairs_per_prompt=1, mismatched={"share": 0.0, "neighbours": 1}, sampling=SAMPLING)
#: Whose rows are lists of examples, not prompts.
LISTS = {"plan_red_team_prompts", "plan_task_lists"}
#: What each node function that asks a model makes of the prompts: a plan, or the ids that are left.
STAGES: dict[str, Callable[[World], ShardPlan | Iterable[str]]] = {
    "plan_human_pairs_by": lambda w: plan_human_pairs_by(w.prompts, w.pairs.iloc[:0], w.engine, TWO, 0, SHARDS, "x"),
    "plan_pairs_by": lambda w: plan_pairs_by(w.prompts, w.engine, TWO, 0, SHARDS, "x"),
    "plan_responses_by": lambda w: plan_responses_by(w.prompts, w.engine, ONE, 0, SHARDS, "x"),
    "plan_red_team_prompts": lambda w: plan_red_team_prompts(
        w.prompts, w.prompts, constitution(), w.engine, red_team_params(examples=3, lists=60), 0, SHARDS
    ),
    "plan_topic_lists": lambda w: plan_topic_lists(question_types(), w.engine, lists_of(0), 0, SHARDS),
    "plan_question_lists": lambda w: plan_question_lists(topics(), question_types(), w.engine, lists_of(0), 0, SHARDS),
    "plan_task_lists": lambda w: plan_task_lists(
        [MANY_TOKENS, "Say yes.", "Say no."], question_types(), w.engine, lists_of(1), 0, SHARDS
    ),
    "plan_self_alignment": lambda w: plan_self_alignment(asked(w), RULES, w.engine, rule_params(), 0, SHARDS),
    "plan_without_rules": lambda w: plan_without_rules(
        thought(w), RULES, w.engine, rule_params(), LeaveOneOutParams(questions=None), 0, SHARDS
    ),
    "plan_verbose_answers": lambda w: plan_verbose_answers(asked(w), w.engine, CLONING, 0, SHARDS),
    "engrave": lambda w: stage_trained(w, engrave, ENGRAVING),
    "teach_model": taught,
    "clone": lambda w: stage_trained(w, clone, CLONING),
    "plan_of.<locals>.plan_revisions": revise,
    "plan_labels": lambda w: plan_labels(
        w.pairs, constitution(), w.engine, LabelParams(both_orders=True, few_shots=0), 0, SHARDS
    ),
    "plan_cot_labels": lambda w: plan_cot_labels(w.pairs, constitution(), w.engine, cot_params(), 0, SHARDS),
    "answer_as.<locals>.plan_answers": lambda w: answer_as("sl_cai")(
        w.prompts, w.engine, evaluation_params(sampling=SAMPLING), 0, SHARDS
    ),
    "answer_along.<locals>.answer": lambda w: answer_along("rl_cai")(
        w.prompts, {15: w.engine, 30: w.engine}, evaluation_params(sampling=SAMPLING), 0
    )["prompt_id"],
    "decide_head_to_heads": lambda w: decide_head_to_heads(
        w.responses("a", "b"), w.prompts, axis_table(harmlessness=w.prompts), AXES, 0, by_referee=w.referee()
    )["prompt_id"],
    "decide_along": lambda w: decide_along(
        w.responses("a", "b"), w.prompts, axis_table(harmlessness=w.prompts), AXES, 0, by_referee=w.referee()
    )["prompt_id"],
    "score_revisions": lambda w: score_revisions(
        w.responses("critique_0", "critique_1"), w.prompts, w.pm, evaluation_params()
    )["prompt_id"],
    "score_test_cases_of.<locals>.score_test_cases": lambda w: score_test_cases_of("x")(
        w.cases, w.pm, evaluation_params()
    )["prompt_id"].str.partition(".")[0],
    "score_cases_of.<locals>.score_cases": lambda w: score_cases_of("x")(w.cases, w.pm, ABLATIONS)[
        "prompt_id"
    ].str.partition(".")[0],
    "judge_items": lambda w: of_items(judge_items(w.items, constitution(), w.engine, judge_params(few_shots=0), 0)),
    "judge_items_with_cot": lambda w: of_items(
        judge_items_with_cot(
            w.items,
            constitution(),
            w.engine,
            judge_params(cot={"few_shots": 0, "samples": 1, "sampling": SAMPLING.model_dump()}),
            0,
        )
    ),
    "score_items": lambda w: of_items(score_items(w.items, w.pm, judge_params(), 0)),
    "measure_snapshots": lambda w: measure_snapshots(w.lm, {1: w.lm}, w.pm, w.prompts, RLHF, ARM, 0)["prompt_id"],
    "measure_preference_model": measured,
    "rate_principles": principles,
    "score_harmfulness.<locals>.score": harmfulness,
    "reinforce": trained,
    "fine_tune_policy": fine_tuned,
    "fit_preference_model": fitted,
}


def _asks_a_model(name: str) -> bool:
    return ".model" in name or ".snapshots@" in name or name == "referee"


def test_every_node_that_takes_a_model_is_walked_below() -> None:
    bootstrap_project(PROJECT)
    KedroSession.create(PROJECT, env="base").load_context()  # the pipelines are those of the last context
    nodes = [node for pipeline in pipelines.values() for node in pipeline.nodes]
    functions = {
        inspect.unwrap(node.func).__qualname__ for node in nodes if any(_asks_a_model(name) for name in node.inputs)
    }
    assert functions - ASK_NOTHING - ASK_A_PROBE_SET == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_one_prompt_beyond_the_context_stops_no_stage(
    stage: str, tiny_lm: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = STAGES[stage](World(tiny_lm, tmp_path))
        if isinstance(made, ShardPlan):
            outcomes = [run_shard(made, name) for name in made.shards]
            too_long = [
                row.id for outcome in outcomes for row in outcome.quarantine.itertuples() if TOO_LONG in row.reason
            ]
            assert 0 < len(too_long) < len(made.ids)
            if stage not in LISTS:  # there a list is in quarantine, with all its examples
                assert all(name.removeprefix("harmless.").startswith(LONG) for name in too_long), too_long
            return
    assert set(made) == set(numbered(N - 1))
    told = [message for message in caplog.messages if "left out" in message or "no score" in message]
    assert told, caplog.messages


class SilentServer:
    """An engine that cannot tell its context beforehand, as a model on a server."""

    fingerprint = "server"

    def __init__(self, engine: TransformersEngine) -> None:
        self.generate, self.choice_logprobs = engine.generate, engine.choice_logprobs


def test_a_judge_that_cannot_tell_its_context_leaves_out_what_it_cannot_read(tiny_lm: LanguageModel) -> None:
    world = World(tiny_lm, Path())
    engine: Any = SilentServer(world.engine)
    cot = {"few_shots": 0, "samples": 2, "sampling": SAMPLING.model_dump()}
    direct = judge_items(world.items, constitution(), engine, judge_params(few_shots=0), 0)
    thought = judge_items_with_cot(world.items, constitution(), engine, judge_params(cot=cot), 0)
    assert set(of_items(direct)) == set(of_items(thought)) == set(numbered(N - 1))
    assert thought["thoughts"].notna().all()


def test_snapshots_that_can_read_no_prompt_are_told(tiny_lm: LanguageModel) -> None:
    world, asked = World(tiny_lm, Path()), evaluation_params(sampling=SAMPLING)
    only = world.prompts[world.prompts["prompt_id"] == LONG]
    with pytest.raises(
        ValueError, match="none of 1 prompts fits into context and chat template of the snapshots of rl_cai: give"
    ):
        answer_along("rl_cai")(only, {15: world.engine}, asked, 0)
