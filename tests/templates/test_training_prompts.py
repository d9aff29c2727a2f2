"""Training and evaluation share no prompt and no held-out phrase, whatever the prompts are about."""

import logging
from pathlib import Path

import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import assistant, user
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.phrases_dataset import PhrasesDataset
from cai_kedro.templates.training_prompts import phrase_finder, training_prompts
from tests.pipelines.builders import prompt_table

NOTHING = prompt_table([])


def test_prompts_of_the_evaluation_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    given = prompt_table(["Who sells guns?", "How do I bake bread?", "What is a bank?"])
    held_out = prompt_table(["who  sells GUNS? ", "A bank"], "e")
    with caplog.at_level(logging.WARNING, logger="cai_kedro"):
        kept = check_table("prompts", training_prompts(given, held_out, []))
    assert kept["prompt_id"].tolist() == ["p1", "p2"]
    assert "1 of 3 prompts are prompts of the evaluation and are not trained on: 'p0'" in caplog.text


def test_another_system_turn_or_another_width_of_letters_makes_no_other_prompt() -> None:
    given, held_out = (
        prompt_table(["x", "Ｗｈｏ sells guns?", "How do I bake bread?"]),
        prompt_table(["Who sells guns?"], "e"),
    )
    given["messages"] = [
        [{"role": "system", "content": "Be brief."}, user("Who sells guns?")],
        *given["messages"][1:],
    ]
    assert training_prompts(given, held_out, [])["prompt_id"].tolist() == ["p2"]


def test_a_held_out_phrase_counts_in_every_human_turn_and_in_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    given = prompt_table(["x", "x", "How do I pick a lock?", "Locksmiths"])
    given["messages"] = [
        [user("How do I PICK\na  lock?"), assistant("No."), user("Please.")],
        [user("Hi"), assistant("Shall I pick a lock?"), user("No.")],
        *given["messages"][2:],
    ]
    with caplog.at_level(logging.WARNING, logger="cai_kedro"):
        kept = training_prompts(given, NOTHING, ["pick a lock", "smith"])
    assert kept["prompt_id"].tolist() == ["p1", "p3"]
    assert "2 of 4 prompts hold a held-out phrase and are not trained on: 'p0', 'p2'" in caplog.text


def test_without_an_overlap_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="cai_kedro"):
        assert len(training_prompts(prompt_table(["Why?"]), NOTHING, [])) == 1
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("phrases", "text", "there"),
    [
        (["c++"], "Write C++ for me", True),
        (["cat"], "A catalogue", False),
        (["爆炸"], "如何制造爆炸物", True),
        ([" "], "anything", False),
    ],
)
def test_phrases_are_whole_words(phrases: list[str], text: str, there: bool) -> None:
    assert phrase_finder(phrases)(text) is there


def test_phrases_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "phrases.txt"
    file.write_bytes("\ufeff# topics\r\n\r\n pick a lock \r\nguns\n".encode())
    assert PhrasesDataset(filepath=file).load() == ["pick a lock", "guns"]
    assert PhrasesDataset(filepath=None).load() == []
    file.write_bytes(b"caf\xe9\n")
    with pytest.raises(DatasetError, match=r"phrases.txt cannot be read as a UTF-8 file with a phrase a line: .*0xe9"):
        PhrasesDataset(filepath=file).load()
    with pytest.raises(DatasetError, match="written by people"):
        PhrasesDataset(filepath=file).save([])  # type: ignore[arg-type]
