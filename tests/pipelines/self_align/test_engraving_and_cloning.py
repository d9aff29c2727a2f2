"""Stages 3 and 4 of SELF-ALIGN: what is learnt from, and models that are adapters on the base model."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cai_kedro.core.conversation import as_messages, system, user
from cai_kedro.core.gates import GateClosed
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams
from cai_kedro.engines.adapter_files import is_adapter
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.model_reference import load_model, save_model
from cai_kedro.pipelines.self_align.cloning.answering import answer_verbosely, plan_verbose_answers
from cai_kedro.pipelines.self_align.cloning.params import CloningParams
from cai_kedro.pipelines.self_align.cloning.rows import build_cloning_rows
from cai_kedro.pipelines.self_align.cloning.training import clone
from cai_kedro.pipelines.self_align.engraving.rows import EngravingParams, build_engraving_rows
from cai_kedro.pipelines.self_align.engraving.training import engrave
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import made_of
from tests.pipelines.self_align.tables import SAMPLING, answers, questions
from tests.templates.conftest import SHARED

FINE_TUNING: dict[str, Any] = {k: v for k, v in SHARED["preference"].items() if k != "head_std"}
STAGE: dict[str, Any] = {
    "rows": None,
    "training": {"adapter": "lora", "lora": {"rank": 2, "alpha": 4.0, "targets": ["q_proj", "o_proj"]}},
    "fine_tuning": {**FINE_TUNING, "learning_rate": 1e-2, "epochs": 4},
}
ENGRAVING = EngravingParams.model_validate(STAGE)
CLONING = CloningParams.model_validate(
    {
        **STAGE,
        "questions": None,
        "verbose_prompt": "Answer at length.",
        "standard_prompt": "Answer the human.",
        "sampling": SAMPLING,
        "repeated_words": 3,
    }
)


def test_rules_examples_and_thoughts_are_gone_from_what_is_learnt() -> None:
    table = answers(["No.", "Yes.", None], thoughts="I follow rule 1 (harmless).", fault=[None, None, "answer_empty"])
    rows = check_table("rows", build_engraving_rows(table, ENGRAVING, 3))
    assert sorted(rows["row_id"]) == ["q0.engraving", "q1.engraving"]
    assert rows.set_index("prompt_id")["response"].to_dict() == {"q0": "No.", "q1": "Yes."}
    assert as_messages(rows.set_index("prompt_id")["messages"]["q0"]) == [user("Question 0?")]
    assert set(rows["source"]) == {"self_aligned"}


def test_rows_have_an_order_of_their_own() -> None:
    many = build_engraving_rows(answers(["No."] * 9), ENGRAVING, 3)
    few = build_engraving_rows(answers(["No."] * 6), ENGRAVING, 3)
    assert [name for name in many["row_id"] if name in set(few["row_id"])] == few["row_id"].tolist()
    limited = build_engraving_rows(answers(["No."] * 9), ENGRAVING.model_copy(update={"rows": 4}), 3)
    assert limited["row_id"].tolist() == many["row_id"].tolist()[:4]


def test_where_no_answer_is_left_the_faults_are_counted() -> None:
    table = answers([None, None, None], fault=["thoughts_no_rule", "thoughts_no_rule", "answer_empty"])
    with pytest.raises(GateClosed, match=r"engraving of SELF-ALIGN, of 3: 2 thoughts_no_rule, 1 answer_empty\. "):
        build_engraving_rows(table, ENGRAVING, 3)
    with pytest.raises(GateClosed, match="there were no questions"):
        build_cloning_rows(answers([]), CLONING, 3)


def test_the_teacher_answers_behind_the_verbose_prompt() -> None:
    engine = ScriptedEngine(lambda prompt, seed: f"First, number {seed}. Then go. " * 2)
    table = check_table("answers", answer_verbosely(questions(["How?", "Why?"]), engine, CLONING, 3).rows)
    assert engine.prompts == [f"Answer at length.\n\nHuman: {text}\n\nAssistant:" for text in ("How?", "Why?")]
    assert all(text.endswith("Then go.") and text.count("First") == 1 for text in table["response"])
    assert table["rules"].map(list).tolist() == [[], []]
    shards = ShardParams(prompts=1, max_quarantined=0.0)
    plan = plan_verbose_answers(questions(["How?", "Why?"]), engine, CLONING, 3, shards)
    pd.testing.assert_frame_equal(made_of(plan), table)
    other = CLONING.model_copy(update={"standard_prompt": "Hm.", "rows": 3})
    assert plan_verbose_answers(questions(["How?"]), engine, other, 3, shards).decided_by == plan.decided_by
    other = CLONING.model_copy(update={"verbose_prompt": "Say much."})
    assert plan_verbose_answers(questions(["How?"]), engine, other, 3, shards).decided_by != plan.decided_by


def test_the_student_learns_behind_the_short_and_the_standard_prompt() -> None:
    table = answers([f"Answer {i}." for i in range(64)], fault=["answer_cut", *[None] * 63])
    rows = check_table("rows", build_cloning_rows(table, CLONING, 3))
    assert len(rows) == 63
    assert not any("at length" in str(as_messages(cell)) for cell in rows["messages"])
    standard = [as_messages(cell)[0] == system("Answer the human.") for cell in rows["messages"]]
    assert 20 < sum(standard) < 43
    assert all(len(cell) == 1 + is_standard for cell, is_standard in zip(rows["messages"], standard, strict=True))
    fewer = build_cloning_rows(table[:32], CLONING, 3).set_index("prompt_id")["messages"]
    assert all(as_messages(rows.set_index("prompt_id")["messages"][name]) == cell for name, cell in fewer.items())


def test_a_system_turn_of_the_question_stays() -> None:
    table = answers([f"Answer {i}." for i in range(8)])
    table["messages"] = pd.Series([[system("Be kind."), user("Hi?")]] * 8, dtype=object)
    first = {as_messages(cell)[0]["content"] for cell in build_cloning_rows(table, CLONING, 3)["messages"]}
    assert first == {"Be kind.", "Answer the human.\n\nBe kind."}


@pytest.mark.parametrize("stage", ["engraving", "cloning"])
def test_the_model_is_an_adapter_on_the_base_model(stage: str, tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    table = answers(["Please do not."] * 12)
    made = []
    for _ in range(2):
        base = load_model(tmp_path / "base")
        if stage == "engraving":
            lm, curves = engrave(base, build_engraving_rows(table, ENGRAVING, 3), ENGRAVING, 3)
        else:
            lm, curves = clone(base, build_cloning_rows(table, CLONING, 3), CLONING, 3)
        losses = check_table("curves", curves).query("metric == 'loss'")["value"]
        assert losses.iloc[-1] < losses.iloc[0]
        made.append(lm)
    first, second = (lm.adapter for lm in made)
    assert first is not None
    assert second is not None
    assert {name.rpartition(".")[2] for name in first.targets} == {"q_proj", "o_proj"}
    assert first.weights is not None
    assert second.weights is not None
    assert all((first.weights[name] == weights).all() for name, weights in second.weights.items())
    save_model(made[0], tmp_path / "made")
    assert is_adapter(tmp_path / "made")


def test_a_target_that_no_layer_has_is_told_with_its_block(tiny_lm: LanguageModel) -> None:
    lora = {"rank": 2, "alpha": 4.0, "targets": ["c_attn"]}
    params = EngravingParams.model_validate({**STAGE, "training": {"adapter": "lora", "lora": lora}})
    with pytest.raises(ValueError, match=r"^self_align\.engraving\.training\.lora\.targets names 'c_attn', and"):
        engrave(tiny_lm, build_engraving_rows(answers(["No."]), params, 3), params, 3)
