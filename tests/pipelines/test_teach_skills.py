"""Teaching: which lessons measure which skill, what is asked in which order, and what may be learnt from."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro.pipeline import Pipeline

from cai_kedro.core.asks import Reply
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.englishworld.lessons import MIX
from cai_kedro.free_english.reader import free_pairs, free_requests
from cai_kedro.metrics.skills import skill_figures
from cai_kedro.pipelines import teach_skills
from cai_kedro.pipelines.base_model import untaught_pipeline
from cai_kedro.pipelines.teach_skills.lessons import build_held_out_lessons, build_lessons, skill_of
from cai_kedro.pipelines.teach_skills.letters import compare_free_pairs
from cai_kedro.pipelines.teach_skills.measuring import ask_skills, measure_skills
from cai_kedro.pipelines.teach_skills.params import MadeLessons, Measured, Phase, TeachingParams
from cai_kedro.pipelines.teach_skills.texts import writer
from tests.conftest import ScriptedEngine
from tests.free_english.overlap import shared_runs

PROJECT = Path(__file__).parents[2]
CONF = PROJECT / "conf" / "base"
MEASURED = Measured(
    held_out=4,
    held_out_along=2,
    free=12,
    free_along=6,
    sampling=Sampling(temperature=0.0, top_p=1.0, max_new_tokens=8),
)


@pytest.fixture(scope="module")
def held_out() -> pd.DataFrame:
    return check_table("lessons", build_held_out_lessons(MEASURED, seed=1))


MADE = MadeLessons(
    at_length=0.0, phases=[Phase(count=500, polarity="less", mix=None), Phase(count=900, polarity="both", mix=None)]
)


@pytest.fixture(scope="module")
def lessons() -> pd.DataFrame:
    return check_table("lessons", build_lessons(MADE, seed=1))


def asked_of(held_out: pd.DataFrame, **engines: ScriptedEngine) -> pd.DataFrame:
    """Ask two engines, an untaught one and one at step 5."""
    constitution = read_constitution(CONF / "constitution" / "english")
    untaught, taught = engines["untaught"], engines["taught"]
    return ask_skills(untaught, {5: taught}, held_out, free_requests(), free_pairs(), constitution, MEASURED, seed=1)


def test_every_skill_is_measured_on_what_no_lesson_holds(held_out: pd.DataFrame, lessons: pd.DataFrame) -> None:
    assert set(held_out["split"]) == {"act", "object", "kind", "frame", "wording"}
    assert held_out["lesson_id"].is_unique
    sizes = skill_of(held_out).value_counts()
    assert set(sizes) == {4}
    assert {*sizes.index} >= {
        "comparison.less", "comparison.more", "polarity.less", "polarity.more", "critique.own", "critique.other",
        "revision.objects", "revision.keeps", "copy", "names_kind", "kind_of_act", "verdict.less", "thoughts.more",
    }  # fmt: skip
    assert set(lessons["lesson"]) == set(MIX)


def test_under_its_own_name_a_harm_is_to_be_found_and_under_another_not(held_out: pd.DataFrame) -> None:
    skills = skill_of(held_out)
    for whose, is_own in (("own", True), ("other", False)):
        of = held_out[skills == f"critique.{whose}"]
        assert ((of["criterion"] == of["kind"]) == is_own).all()
        assert of["behaviour"].isin(["comply", "caveat", "badcomply"]).all()


def test_right_letters_count_whatever_the_order_and_the_polarity(held_out: pd.DataFrame) -> None:
    """One engine knows the answers; the other always says A."""
    right: dict[str, str] = {}
    for row in held_out[held_out["lesson"].isin(["comparison", "polarity", "option"])].itertuples():
        ask = json.loads(row.ask)
        right[ask["question"] + ask["first"]] = right[ask["question"] + ask["second"]] = ask[
            "first" if row.p_first > 0.5 else "second"
        ]
    for row in free_pairs().itertuples():
        options = {"first": row.first, "second": row.second}
        more = options[row.more]
        less = options["first" if row.more == "second" else "second"]
        for option in (row.first, row.second):
            right[row.question_more + option], right[row.question_less + option] = more, less

    def knows(prompt: str) -> tuple[float, float]:
        question = re.search(r"\n\n([^\n]*) Options:", prompt)
        first, second = re.findall(r"\[\[\[(.*?)\]\]\]", prompt, re.DOTALL)
        assert question
        better = right.get(question[1] + first)
        return (-0.1, -2.4) if better == first else (-2.4, -0.1) if better == second else (-0.7, -0.7)

    says_a = ScriptedEngine(prefer=lambda prompt: (-0.1, -2.4))
    answers = asked_of(held_out, untaught=says_a, taught=ScriptedEngine(prefer=knows))
    figures, metrics = measure_skills(check_table("skill_answers", answers))
    for skill in ("comparison.less", "comparison.more", "polarity.more", "option.less"):
        assert metrics[f"skills.held_out.{skill}.accuracy"]["value"] == 1, skill
        assert metrics[f"skills.held_out.{skill}.right_in_both_orders"]["value"] == 1
    assert metrics["skills.free.pairs.less.accuracy"] == metrics["skills.free.pairs.more.accuracy"]
    assert metrics["skills.free.pairs.more.accuracy"]["value"] == 1
    assert metrics["skills.free.pairs.less.accuracy"]["n"] == 12
    assert metrics["skills.free.pairs.less.p_harmless"]["value"] > 0.9
    assert metrics["skills.free.pairs.more.p_harmless"]["value"] < 0.1
    blind = figures[(figures["step"] == 0) & (figures["set"] == "free") & (figures["part"] == "all")]
    blind = blind.set_index(["skill", "figure"])["value"]
    assert blind["pairs.less", "accuracy"] == 0.5
    assert blind["pairs.less", "right_in_both_orders"] == 0


def test_texts_are_read_by_rules_and_by_what_was_to_be_written(held_out: pd.DataFrame) -> None:
    def obeys(prompt: str, seed: int) -> str:
        return "It is fine: nothing in it is so." if prompt.endswith("Critique:") else "Sure, here is how: just go on."

    def objects(prompt: str, seed: int) -> str:
        return "That is harmful, because it hurts." if prompt.endswith("Critique:") else "I won't help, it is theft."

    answers = asked_of(held_out, untaught=ScriptedEngine(obeys), taught=ScriptedEngine(objects))
    table = skill_figures(answers).query("part == 'all'").set_index(["step", "set", "skill", "figure"])["value"]
    for where, skill in (("held_out", "revision.objects"), ("free", "revision")):
        assert table[0, where, skill, "objects"] == 0
        assert table[5, where, skill, "objects"] == 1
    for step, found in ((0, 0), (5, 1)):
        assert table[step, "held_out", "critique.own", "finds"] == found
        assert table[step, "free", "critique.other", "finds"] == found
    assert table[0, "free", "reply.plain", "complies"] == table[5, "free", "reply.look_alike", "objects"] == 1
    assert table[5, "held_out", "copy", "accuracy"] == 0
    assert answers[answers["skill"] == "revision"]["text"].notna().all()


def test_fewer_items_are_asked_along_the_way(held_out: pd.DataFrame) -> None:
    constitution = read_constitution(CONF / "constitution" / "english")
    engines = {5: ScriptedEngine(), 9: ScriptedEngine()}
    answers = ask_skills(
        ScriptedEngine(), engines, held_out, free_requests(), free_pairs(), constitution, MEASURED, seed=1
    )
    asked = answers[answers["figure"] == "accuracy"].groupby(["step", "skill"])["item_id"].nunique()
    assert asked[0, "copy"] == asked[9, "copy"] == 4
    assert asked[5, "copy"] == 2
    assert (asked[0, "pairs.less"], asked[5, "pairs.less"]) == (12, 6)


def test_a_constitution_that_names_no_harms_measures_no_critiques(held_out: pd.DataFrame) -> None:
    constitution = read_constitution(CONF / "constitution")
    engine = ScriptedEngine()
    answers = ask_skills(engine, {1: engine}, held_out, free_requests(), free_pairs(), constitution, MEASURED, seed=1)
    named = {harm for each in constitution.critique_principles for harm in each.harms}
    of_free = set(answers[answers["set"] == "free"]["skill"])
    assert ("critique.own" in of_free) == bool(named & set(free_requests()["harm"].dropna()))


def test_lessons_share_no_run_of_words_with_free_english(lessons: pd.DataFrame, held_out: pd.DataFrame) -> None:
    def strings(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [text for part in parts for text in strings(part)]

    learnt = {text for table in (lessons, held_out) for cell in table["ask"] for text in strings(json.loads(cell))}
    turns = [turn["content"] for cell in free_requests()["messages"] for turn in cell]
    free = [*turns, *free_pairs()["first"], *free_pairs()["second"]]
    assert shared_runs(free, [*learnt, *lessons["answer"]]) == {}


def test_free_english_reaches_no_training() -> None:
    pipeline = untaught_pipeline() + teach_skills.create_pipeline()
    behind = pipeline.from_inputs("free_english_requests", "free_english_pairs")
    assert {node.name for node in behind.nodes} == {"teach_skills.ask_skills", "teach_skills.measure_skills"}
    made = {name.partition("@")[0] for name in behind.all_outputs()}
    assert made == {"taught.skill_answers", "taught.skills", "taught.skill_metrics"}


def test_the_pipeline_needs_what_is_given_alone() -> None:
    pipeline: Pipeline = untaught_pipeline() + teach_skills.create_pipeline()
    needed = {name for name in pipeline.inputs() if not name.startswith("params:")}
    # Kedro joins the two ways of holding a model by its name
    assert {name.partition("@")[0] for name in needed} == {
        "free_english_requests", "free_english_pairs", "free_english_constitution"
    }  # fmt: skip


def test_the_parameters_of_base_are_valid() -> None:
    block = yaml.safe_load((CONF / "parameters_teach_skills.yml").read_text(encoding="utf-8"))["teach_skills"]
    MadeLessons.model_validate(block["lessons"])
    Measured.model_validate(block["skills"])
    fine_tuning = {**block["teaching"]["fine_tuning"], "device": "cpu", "dtype": "float32", "checkpoints": None}
    TeachingParams.model_validate({**block["teaching"], "fine_tuning": fine_tuning})


def test_what_does_not_fit_into_the_context_is_counted(
    tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=8192, dtype="float32")
    pairs = free_pairs().head(2).merge(free_requests()[["prompt_id", "messages"]], on="prompt_id")
    pairs.at[0, "messages"] = [{"role": "user", "content": "Why? " * 220}]
    rows = compare_free_pairs(engine, pairs)
    assert {row["item_id"] for row in rows} == {pairs["pair_id"][1]}
    assert "2 of 4 items do not fit into the model's context: left out of the skills" in caplog.messages
    write = writer(engine, MEASURED.sampling, seed=1)
    assert write([Reply(as_messages(cell)) for cell in pairs["messages"]], ["long", "short"])[0] == ""
    assert "1 of 2 asks do not fit into the model's context: each counts as an empty answer" in caplog.messages
