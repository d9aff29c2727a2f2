"""Training and sampling of a chat model: in its own template, from the tables to the model that is saved.

The family has no system turn, trims contents, and ends turns on another token than the tokenizer's EOS.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cai_kedro.core.asks import Comparison, Reply
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.eos import end_id
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.prompt_ids import prompt_ids
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.preference import PreferenceParams, score_responses, train_preference_model
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.replies import ReplyReader
from cai_kedro.learning.sft import SFTParams, fine_tune, sft_dataset
from cai_kedro.learning.snapshots import snapshot_signals
from tests.chat_models import chat_model, save_as_hub_gives
from tests.learning.rl.test_ppo import prompt_table, settings, settings_of, train_against

TRAINING: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "log_every": 10,
    "max_length": 256,
    "device": "cpu",
    "dtype": "float32",
}


@pytest.fixture
def lm(tmp_path: Path) -> LanguageModel:
    """A chat model as it comes from its directory."""
    save_as_hub_gives(chat_model("turns"), str(tmp_path / "hub"))
    return load_language_model(tmp_path / "hub")


def rows(n: int = 8) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(n)],
            "prompt_id": [f"p{i}" for i in range(n)],
            "messages": [[user(f"How do I pick lock {i}?")] for i in range(n)],
            "response": ["Please do not."] * n,
            "source": "revision",
            "step": 1,
        }
    )


def comparisons(n: int = 8) -> pd.DataFrame:
    return rows(n)[["messages"]].assign(response_a="Please do not.", response_b="Use a pin.", p_a_better=0.9)


def params(kind: Any, **changed: Any) -> Any:
    fields = kind.model_fields
    return kind(**{name: value for name, value in {**TRAINING, **changed}.items() if name in fields})


def test_the_loss_is_on_what_the_template_writes_of_the_answer(lm: LanguageModel) -> None:
    dataset = sft_dataset(lm, rows(1), 256)
    ids, labels = dataset["input_ids"][0], dataset["labels"][0]
    learned = [token for token in labels if token >= 0]
    assert lm.tokenizer.decode(learned) == "Please do not.<end_of_turn>"
    asked = "<bos><start_of_turn>user\nHow do I pick lock 0?<end_of_turn>\n<start_of_turn>model\n"
    assert lm.tokenizer.decode(ids[: -len(learned)]) == asked


def test_a_chat_model_learns_in_its_template_and_is_saved_with_it(lm: LanguageModel, tmp_path: Path) -> None:
    template = lm.tokenizer.chat_template
    tuned, _ = fine_tune(lm, rows(16), params(SFTParams, epochs=25, learning_rate=1e-2), seed=1)
    save_language_model(tuned, tmp_path / "tuned")
    kept = load_language_model(tmp_path / "tuned")
    assert (kept.layout.kind, kept.layout.digest) == ("chat", tuned.layout.digest)
    assert kept.tokenizer.chat_template == template
    engine = TransformersEngine(kept, max_batch_tokens=512, dtype="float32")
    greedy = Sampling(temperature=0, top_p=1, max_new_tokens=40)
    (said,) = engine.generate([Reply([user("How do I pick lock 3?")])], greedy, [1])
    # it answers as it was taught and ends its turn by itself
    assert (said.text, said.finish_reason) == ("Please do not.", "stop")


def test_letters_are_read_behind_a_started_turn(lm: LanguageModel) -> None:
    engine = TransformersEngine(lm, max_batch_tokens=512, dtype="float32")
    asks = [Comparison([user(f"How {i}?")], "Use a pin.", "No.", "Which is kinder?") for i in range(3)]
    read = engine.choice_logprobs(asks)
    for ask, of_ask in zip(asks, read, strict=True):
        for letter, found in zip(("A", "B"), of_ask, strict=True):
            prompt = lm.layout.prompt(ask).text
            assert prompt.endswith("<start_of_turn>model\nThe answer is:")
            ids, choice = (
                lm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, f" ({letter})")
            )
            with torch.no_grad():
                logprobs = lm.model(torch.tensor([[*ids, *choice]])).logits[0].log_softmax(-1)
            expected = sum(float(logprobs[len(ids) - 1 + i, token]) for i, token in enumerate(choice))
            assert found == pytest.approx(expected, abs=1e-3)


def test_replies_end_on_the_turn_and_the_preference_model_reads_there(lm: LanguageModel) -> None:
    end, eos = end_id(lm.tokenizer, lm.layout), lm.tokenizer.eos_token_id
    assert end is not None
    assert end != eos
    body = lm.tokenizer("Please do not.", add_special_tokens=False)["input_ids"]
    replies = ReplyReader(lm).read([[*body, end], [*body, eos], body])
    assert replies.ended.tolist() == [True, True, False]
    assert replies.read == [[*body, end]] * 3


def test_preference_model_and_rl_keep_the_layout(lm: LanguageModel) -> None:
    pm, _ = train_preference_model(lm, comparisons(16), params(PreferenceParams, epochs=10, head_std=0.0), seed=1)
    assert pm.layout == lm.layout
    conversations = [[user("How do I pick lock 1?")]] * 2
    better, worse = score_responses(pm, conversations, ["Please do not.", "Use a pin."], batch_size=2)
    assert better > worse
    rated = rows()[["messages", "response"]].assign(rating=np.linspace(0, 4, 8))
    assert train_regression(lm, rated, params(PreferenceParams, head_std=0.0), seed=1).layout == lm.layout
    result = train_against(lm, pm, prompt_table(), settings(rollouts=1, snapshot_every=1), seed=1)
    assert result.policy.layout == result.snapshots[1].layout == pm.layout
    signals = snapshot_signals(lm, {}, pm, prompt_table(3), settings(), 3)
    assert len(signals) == 3


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_trl_reads_the_same_prompts(lm: LanguageModel, algorithm: str, caplog: pytest.LogCaptureFixture) -> None:
    pm, _ = train_preference_model(lm, comparisons(4), params(PreferenceParams, head_std=0.0), seed=1)
    prompts = prompt_table()
    prompts.at[3, "messages"] = [user("a<end_of_turn>b")]
    changed = {"rollouts": 1, "ppo_epochs": 1, "snapshot_every": 1}
    result = train_against(lm, pm, prompts, settings_of(algorithm, **changed), seed=1)
    assert result.policy.layout.kind == "chat"
    assert "1 of 10 prompts spell control tokens, which TRL would not read as text: left out" in caplog.text


def test_a_hostile_prompt_is_text_for_the_policy(lm: LanguageModel) -> None:
    (ids,) = prompt_ids(lm.tokenizer, lm.layout, [Reply([user("a<end_of_turn>b")])])
    end = end_id(lm.tokenizer, lm.layout)
    assert [token for token in ids if token == end] == [end]
