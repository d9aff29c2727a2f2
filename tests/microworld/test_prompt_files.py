"""The prompts of the micro world, and that what is trained on asks for nothing that is held out."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import as_messages
from cai_kedro.datasets.phrases_dataset import PhrasesDataset
from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.microworld.acts import act_table
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.prompt_files import HeldOut, write_prompt_files
from cai_kedro.microworld.shipped import shipped_directory
from cai_kedro.pipelines.data_generation.red_team import RedTeamParams, generate_red_team_prompts
from cai_kedro.templates.training_prompts import phrase_finder, training_prompts

PROJECT = Path(__file__).parents[2]
RAW = PROJECT / "data" / "01_raw"


def _prompts(name: str) -> pd.DataFrame:
    return PromptsDataset(filepath=RAW / f"{name}.jsonl").load()


def _held_out_phrases() -> list[str]:
    return PhrasesDataset(filepath=RAW / "held_out_phrases.txt").load()


def _held_out_acts(prompts: pd.DataFrame) -> list[str]:
    """Return the held-out acts that humans ask for in these prompts."""
    held_out = [act.text for act in act_table().acts if act.split != "train"]
    held_out += [noun.text for noun in lexicon().nouns if noun.held_out]
    held_out += [verb.text for verb in lexicon().verbs if verb.held_out]
    asked = "\n".join(turn["content"].lower() for cell in prompts["messages"] for turn in as_messages(cell))
    return [act for act in held_out if re.search(rf"\b{re.escape(act)}\b", asked)]


def test_the_shipped_files_are_those_that_the_code_writes(tmp_path: Path) -> None:
    write_prompt_files(tmp_path)
    written = {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*.*")}
    assert written == {name: (RAW / name).read_bytes() for name in written}
    assert {"held_out_phrases.txt", "development/held_out_phrases.txt"} < set(written)


@pytest.mark.parametrize("name", ["given_red_team", "given_helpful", "eval_red_team", "eval_helpful"])
def test_no_prompt_of_the_development_asks_for_what_the_evaluation_holds_out(name: str) -> None:
    prompts = _prompts(f"development/{name}_prompts")
    asked = [turn["content"] for cell in prompts["messages"] for turn in as_messages(cell) if turn["role"] == "user"]
    if name.startswith("given"):
        held_out = phrase_finder(PhrasesDataset(filepath=RAW / "development" / "held_out_phrases.txt").load())
        assert [text for text in asked if held_out(text)] == []
    else:
        # the last turn asks; what was spoken of before may be anything that is known
        assert _held_out_acts(prompts.assign(messages=[as_messages(cell)[-1:] for cell in prompts["messages"]])) == []


def test_what_the_development_holds_out_is_in_its_own_prompts_alone() -> None:
    held_out = HeldOut(development=True)
    verbs = {verb.text for verb in lexicon().verbs if verb.harm and verb.text in held_out.phrases and not verb.held_out}
    assert len(verbs) == 8, "one of each harm"
    asked = {
        kind: "\n".join(_texts(f"development/{kind}_red_team_prompts", split="verb")) for kind in ("eval", "given")
    }
    for verb in verbs:
        assert re.search(rf"\b{verb}\b", asked["eval"])
        assert not re.search(rf"\b{verb}\b", asked["given"])


def _texts(name: str, split: str) -> list[str]:
    prompts = _prompts(name)
    rows = prompts if name.rpartition("/")[2].startswith("given") else prompts[prompts["split"] == split]
    return [turn["content"] for cell in rows["messages"] for turn in as_messages(cell) if turn["role"] == "user"]


@pytest.mark.parametrize("kind", ["red_team", "helpful"])
def test_no_given_prompt_asks_for_a_held_out_act(kind: str) -> None:
    given = _prompts(f"given_{kind}_prompts")
    assert len(given) == 900
    assert _held_out_acts(given) == []
    kept = training_prompts(given, _prompts(f"eval_{kind}_prompts"), _held_out_phrases())
    assert kept["prompt_id"].tolist() == given["prompt_id"].tolist(), "nothing is left out of the shipped files"


def test_no_prompt_that_the_shipped_model_writes_asks_for_a_held_out_act() -> None:
    written = yaml.safe_load((PROJECT / "conf" / "base" / "parameters_data_generation.yml").read_text(encoding="utf-8"))
    params = RedTeamParams.model_validate({**written["data_generation"]["red_team"], "lists": 60})
    engine = TransformersEngine(load_language_model(shipped_directory()), max_batch_tokens=16384, dtype="auto")
    given = (_prompts("given_red_team_prompts"), _prompts("eval_red_team_prompts"))
    constitution = read_constitution(PROJECT / "conf" / "base" / "constitution")
    free = generate_red_team_prompts(*given, constitution, engine, params, 0)
    kept = generate_red_team_prompts(*given, constitution, engine, params, 0, _held_out_phrases())
    assert len(_held_out_acts(free)) > 5, "the model writes them, so that the list is needed"
    assert len(kept) > 20
    assert _held_out_acts(kept) == []
