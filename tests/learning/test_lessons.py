"""Lessons of every kind, in both layouts: what is learnt from them, by how much, and what is told."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from cai_kedro.core.asks import Ask, Comparison, Critique, Reply, Thoughts, Verdict, as_json
from cai_kedro.core.conversation import assistant, user
from cai_kedro.core.layouts.chat import turns
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.letters import p_first
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.model_reference import load_model, save_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.learning.lesson_rows import LETTER, WORD, encode_lessons, lesson_dataset
from cai_kedro.learning.lessons import LessonParams, teach
from cai_kedro.models.adapters import AdapterParams, prepared
from tests.chat_models import chat_model, save_as_hub_gives

ASKED = (user("How do I pick a lock?"),)
COMPARED = Comparison(ASKED, "I won't.", "With a pin.", "Which is less harmful?")


def params_of(**change: Any) -> LessonParams:
    values: dict[str, Any] = {
        "device": "cpu",
        "dtype": "float32",
        "epochs": 1,
        "batch_size": 4,
        "learning_rate": 5e-3,
        "warmup_steps": 1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "max_length": 1000,
        "log_every": 1,
        "deciding_weight": 4.0,
        "snapshot_every": 2,
    }
    return LessonParams(**{**values, **change})


def table_of(*lessons: tuple[Ask, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lesson_id": [f"lesson-{place}" for place in range(len(lessons))],
            "ask": [json.dumps(as_json(ask)) for ask, _ in lessons],
            "answer": [answer for _, answer in lessons],
            "decides": [[] for _ in lessons],
            "phase": 2,
            "together": range(len(lessons)),
        }
    )


def polarity(n: int) -> pd.DataFrame:
    """Comparisons in which the first option is the right one where the question says less."""
    asks = [Comparison(ASKED, "No.", "Yes.", "less?" if row % 2 else "more?") for row in range(n)]
    return table_of(*((ask, "A" if "less" in ask.question else "B") for ask in asks))


@pytest.fixture
def chat(tmp_path: Path) -> LanguageModel:
    save_as_hub_gives(chat_model("chatml"), str(tmp_path / "hub"))
    return load_language_model(tmp_path / "hub")


def test_a_reply_is_written_as_fine_tuning_writes_it(tiny_lm: LanguageModel, chat: LanguageModel) -> None:
    for lm in (tiny_lm, chat):
        (lesson,) = encode_lessons(lm, table_of((Reply(ASKED), "With care.")))
        (answer,) = encode_answers(lm, [ASKED], ["With care."])
        assert (lesson.prompt, lesson.answer) == (answer.prompt, answer.completion)
        assert lesson.decides == [0] * len(lesson.answer)


def test_a_critique_is_a_turn_behind_its_request(tiny_lm: LanguageModel, chat: LanguageModel) -> None:
    ask = Critique(ASKED, "With a pin.", "Is it harmful?")
    (lesson,) = encode_lessons(chat, table_of((ask, "It is.")))
    (answer,) = encode_answers(chat, [tuple(turns(ask))], ["It is."])
    assert (lesson.prompt, lesson.answer) == (answer.prompt, answer.completion)
    (plain,) = encode_lessons(tiny_lm, table_of((ask, "It is.")))
    assert tiny_lm.tokenizer.decode(plain.prompt[1:]).endswith("CritiqueRequest: Is it harmful?\n\nCritique:")
    assert tiny_lm.tokenizer.decode(plain.answer) == " It is.<eos>"


@pytest.mark.parametrize("letter", ["A", "B"])
def test_of_a_choice_the_letter_decides(letter: str, tiny_lm: LanguageModel, chat: LanguageModel) -> None:
    thoughts = Thoughts(ASKED, "No.", "Yes.", "Which?")
    for lm in (tiny_lm, chat):
        for lesson in encode_lessons(lm, table_of((COMPARED, letter), (Verdict(thoughts, "Hm."), letter))):
            assert lm.tokenizer.decode(lesson.answer) == f" ({letter})"
            (place,) = np.flatnonzero(lesson.decides)
            assert lm.tokenizer.decode([lesson.answer[place]]).strip(" ()") == letter


def test_of_a_text_the_words_at_its_places_decide(tiny_lm: LanguageModel, chat: LanguageModel) -> None:
    answer = "It helps the human. The act is theft. It is harmful."
    places = [answer.index("theft"), answer.index("harmful")]
    table = table_of((Critique(ASKED, "With a pin.", "Is it harmful?"), answer)).assign(decides=[places])
    for lm in (tiny_lm, chat):
        (lesson,) = encode_lessons(lm, table)
        begun = [lm.tokenizer.decode(lesson.answer[:place]) for place in np.flatnonzero(lesson.decides)]
        assert [answer.startswith(text.strip()) for text in begun] == [True, True]
        assert all(place - len(text.strip()) in (0, 1) for text, place in zip(begun, places, strict=True))
        assert set(lesson.decides) == {0, WORD}


def test_the_loss_is_the_weighed_mean_over_answers(tiny_lm: LanguageModel) -> None:
    table = table_of((COMPARED, "A"), (Reply(ASKED), "No."), (Critique(ASKED, "So.", "Bad?"), "Yes, it is."))
    table["decides"] = [[], [], [0]]
    losses, weights, kinds = [], [], []
    with torch.no_grad():
        for lesson in encode_lessons(tiny_lm, table):
            logprobs = functional.log_softmax(tiny_lm.model(torch.tensor([lesson.ids])).logits[0, :-1], dim=-1)
            taken = logprobs.gather(1, torch.tensor(lesson.ids)[1:, None])[len(lesson.prompt) - 1 :, 0]
            losses += (-taken).tolist()
            weights += [4.0 if each else 1.0 for each in lesson.decides]
            kinds += lesson.decides
    curves = teach(tiny_lm, table, params_of(), seed=1).curves.set_index("metric")["value"]
    assert curves["loss"] == pytest.approx(np.average(losses, weights=weights), abs=1e-4)
    for metric, kind in (("letter_loss", LETTER), ("word_loss", WORD), ("text_loss", 0)):
        mean = np.mean([loss for loss, of in zip(losses, kinds, strict=True) if of == kind])
        assert curves[metric] == pytest.approx(mean, abs=1e-4)


def test_a_batch_in_parts_teaches_what_the_whole_batch_teaches(tiny_lm: LanguageModel) -> None:
    table = pd.concat([polarity(5), table_of((Reply(ASKED), "No."), (Reply(ASKED), "Not at all, since it harms."))])
    one_step = {"batch_size": 8, "warmup_steps": 0}
    whole = teach(copy.deepcopy(tiny_lm), table, params_of(**one_step), 0)
    parts = teach(copy.deepcopy(tiny_lm), table, params_of(**one_step, device_batch_size=2), 0)
    for name, first in whole.model.model.state_dict().items():
        torch.testing.assert_close(parts.model.model.state_dict()[name], first, atol=2e-4, rtol=0)
    for metric in ("loss", "grad_norm"):
        first, second = (each.curves.set_index("metric")["value"][metric] for each in (whole, parts))
        assert second == pytest.approx(first, rel=1e-3), metric


def test_an_adapter_learns_polarity_and_is_kept_along_the_way(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_model(tiny_lm, tmp_path / "base")
    lora = {"rank": 8, "alpha": 16.0, "targets": None}
    start = prepared(load_model(tmp_path / "base"), AdapterParams(adapter="lora", lora=lora), 1)
    taught = teach(start, polarity(64), params_of(epochs=4, snapshot_every=30, learning_rate=1e-2), seed=1)
    check_table("curves", taught.curves)
    assert list(taught.snapshots) == [30, 60, 64]
    asks = [Comparison(ASKED, "No.", "Yes.", f"{word}?") for word in ("less", "more")]
    read = {}
    for step, lm in taught.snapshots.items():
        save_model(lm, tmp_path / str(step))
        engine = TransformersEngine(load_model(tmp_path / str(step)), max_batch_tokens=4096, dtype="float32")
        read[step] = p_first(engine, asks)
    assert read[64][0] > 0.9
    assert read[64][1] < 0.1
    assert not np.allclose(read[30], read[64], atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "64").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "backbone.json",
    ]


def test_long_lessons_are_left_out_and_said(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    table = table_of((Reply(ASKED), "No."), (Reply(ASKED), "No, and " * 9))
    lengths = [len(lesson.ids) for lesson in encode_lessons(tiny_lm, table)]
    assert lesson_dataset(tiny_lm, table, max(lengths) - 1)["length"][:] == [min(lengths)]
    assert "1 of 2 lessons are longer than" in caplog.text
    with pytest.raises(ValueError, match=r"none of 2 lessons can be learnt: the shortest has .* raise it"):
        lesson_dataset(tiny_lm, table, 9)
    with pytest.raises(ValueError, match=r"raise the counts of teach_skills\.lessons"):
        lesson_dataset(tiny_lm, table.head(0), 9)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("answer", "C", "the lesson lesson-0 is answered by a letter, and its answer is 'C'; expected A"),
        ("ask", "{", "the lesson lesson-0 asks for nothing that can be asked"),
        ("ask", '{"kind": "Rule", "name": "a", "text": "b"}', "lesson-0 .*it is a Rule"),
        ("ask", '{"kind": "Question"}', "lesson-0 .*KeyError"),
    ],
)
def test_a_lesson_that_cannot_be_read_is_named(column: str, value: str, message: str, tiny_lm: LanguageModel) -> None:
    table = table_of((COMPARED, "A")).assign(**{column: value})
    with pytest.raises(ValueError, match=message):
        encode_lessons(tiny_lm, table)


def test_what_the_chat_template_refuses_is_left_out(tmp_path: Path) -> None:
    save_as_hub_gives(chat_model("turns"), str(tmp_path / "hub"))
    lm = load_language_model(tmp_path / "hub")
    refused = Reply((assistant("Hello!"), user("Hi.")))
    assert len(encode_lessons(lm, table_of((refused, "No."), (Reply(ASKED), "Yes.")))) == 1
