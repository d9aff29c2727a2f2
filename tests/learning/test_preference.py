"""The preference model learns what its labels say, no more, and scores at EOS whatever stands beside it."""

import copy
import math
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification

from cai_kedro.core.conversation import user
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.learning.preference import (
    PreferenceParams,
    preference_accuracy,
    preference_dataset,
    score_responses,
    score_token_ids,
    train_preference_model,
    with_score_head,
)
from tests.engines.families import FAMILIES, family_model

PAD = 0


def _params(**change: Any) -> PreferenceParams:
    values: dict[str, Any] = {
        "device": "cpu",
        "dtype": "float32",
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "warmup_steps": 2,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "max_length": 64,
        "log_every": 4,
        "head_std": 0.0,
    }
    return PreferenceParams(**{**values, **change})


def _comparisons(n: int = 160, p: float | None = None, seed: int = 0, invert: bool = False) -> pd.DataFrame:
    """Return pairs of which the answer with a `z` is better with 0.9, or every label `p`."""
    rng = random.Random(seed)

    def word(letter: str) -> str:
        letters = [rng.choice("abcdefg") for _ in range(rng.randint(3, 7))]
        letters[rng.randrange(len(letters))] = letter
        return "".join(letters)

    rows = []
    for i in range(n):
        z_first = rng.random() < 0.5
        a, b = (word("z"), word("y")) if z_first else (word("y"), word("z"))
        label = 0.9 if z_first != invert else 0.1
        rows.append(
            {
                "pair_id": f"q{i}",
                "prompt_id": f"p{i}",
                "messages": [user("Say a word" + "!" * rng.randrange(3))],
                "response_a": a,
                "response_b": b,
                "kind": "sampled",
                "objective": "harmlessness",
                "source": "ai",
                "principle_id": None,
                "p_a_better": label if p is None else p,
                "p_a_first": math.nan,
                "p_a_second": math.nan,
                "thoughts": None,
            }
        )
    return check_table("comparisons", pd.DataFrame(rows))


def _scores(pm: LanguageModel, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    conversations = list(table["messages"])
    return tuple(score_responses(pm, conversations, list(table[c]), 32) for c in ("response_a", "response_b"))  # type: ignore[return-value]


def test_learns_a_preference_from_soft_labels(tiny_lm: LanguageModel) -> None:
    trained, curves = train_preference_model(tiny_lm, _comparisons(), _params(epochs=6), seed=1)
    held_out = _comparisons(100, seed=7)
    correct = preference_accuracy(trained, held_out, batch_size=32)
    assert correct.shape == (100,)
    assert correct.mean() > 0.9
    check_table("curves", curves)
    accuracy = curves.loc[curves["metric"] == "accuracy", "value"]
    assert accuracy.iloc[-1] > 0.9
    losses = curves.loc[curves["metric"] == "loss", "value"]
    assert losses.iloc[0] == pytest.approx(math.log(2), abs=1e-4)  # a zero head prefers nothing
    # no soft-label loss lies below the entropy of its labels
    assert losses.iloc[-1] > -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) - 0.02

    score_a, score_b = _scores(trained, held_out)
    margins = np.abs(score_a - score_b)
    assert np.median(margins) < 2 * math.log(9)  # p = .9 is a margin of ln 9 = 2.2; a hard label would push on


def test_inverted_labels_invert_the_ranking(tiny_lm: LanguageModel) -> None:
    trained, _ = train_preference_model(tiny_lm, _comparisons(invert=True), _params(epochs=6), seed=1)
    assert preference_accuracy(trained, _comparisons(100, seed=7), batch_size=32).mean() < 0.1


def test_undecided_labels_teach_nothing(tiny_lm: LanguageModel) -> None:
    params = _params(head_std=0.05)
    trained, _ = train_preference_model(tiny_lm, _comparisons(p=0.5), params, seed=1)
    score_a, score_b = _scores(trained, _comparisons(100, seed=7))
    assert np.std(score_a - score_b) < 0.1


def test_same_seed_same_weights(tiny_lm: LanguageModel) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed + 99)  # the state of the global generator must not matter
        params = _params(epochs=1, head_std=0.02)
        return train_preference_model(tiny_lm, _comparisons(48), params, seed)[0].model.state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_trainers_loss_is_binary_cross_entropy(tiny_lm: LanguageModel) -> None:
    table = _comparisons(16)
    start = LanguageModel(with_score_head(tiny_lm, 0.2, 5), tiny_lm.tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cai_kedro.learning.preference.with_score_head", lambda *_: copy.deepcopy(start.model))
        _, curves = train_preference_model(tiny_lm, table, _params(epochs=1), seed=1)
    score_a, score_b = (torch.from_numpy(scores) for scores in _scores(start, table))
    p = torch.tensor(table["p_a_better"].to_numpy(dtype=np.float32))
    expected = functional.binary_cross_entropy_with_logits(score_a - score_b, p).item()
    assert expected != pytest.approx(math.log(2), abs=0.01)
    logged = curves.set_index("metric")["value"]
    assert logged["loss"] == pytest.approx(expected, abs=1e-4)
    right = (score_a > score_b) == (p > 0.5)
    assert logged["accuracy"] == pytest.approx(right.float().mean().item())
    assert logged["margin"] == pytest.approx(((score_a - score_b) * torch.sign(p - 0.5)).mean().item(), abs=1e-4)


def test_the_base_stays_and_nothing_is_left_behind(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = copy.deepcopy(tiny_lm.model.state_dict())
    config = tiny_lm.model.config.to_dict()
    trained, _ = train_preference_model(tiny_lm, _comparisons(16), _params(epochs=1), seed=1)
    assert os.listdir(tmp_path) == []
    assert capsys.readouterr().out == ""
    assert all(torch.equal(before[name], weight) for name, weight in tiny_lm.model.state_dict().items())
    assert tiny_lm.model.config.to_dict() == config
    assert not trained.model.training
    assert "forward" not in vars(trained.model)


def test_saves_and_loads_with_the_same_scores(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    trained, _ = train_preference_model(tiny_lm, _comparisons(32), _params(epochs=1), seed=1)
    trained.model.save_pretrained(tmp_path)
    loaded = LanguageModel(AutoModelForSequenceClassification.from_pretrained(tmp_path), tiny_lm.tokenizer)
    assert loaded.model.config.architectures == ["LlamaForSequenceClassification"]
    table = _comparisons(20, seed=7)
    np.testing.assert_allclose(_scores(loaded, table)[0], _scores(trained, table)[0], atol=1e-6)


def test_head_is_seeded_and_of_the_size_asked_for(tiny_lm: LanguageModel) -> None:
    first, again, other = (with_score_head(tiny_lm, 0.02, seed).score.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.std().item() == pytest.approx(0.02, rel=0.4)
    assert with_score_head(tiny_lm, 0.0, 1).score.weight.abs().max() == 0


def test_score_is_read_at_eos_and_padding_changes_nothing(tiny_lm: LanguageModel) -> None:
    model = with_score_head(tiny_lm, 0.5, 3)
    answers = encode_answers(tiny_lm, [[user("Hi")]] * 5, ["a", "bb" * 9, "c", "dddd", "e" * 30])
    sequences = [answer.ids for answer in answers]
    alone = []
    for ids in sequences:
        with torch.no_grad():
            hidden = model.model(torch.tensor([ids])).last_hidden_state[0]
            alone.append(model.score(hidden[-1]).item())  # the last position holds EOS
    together = score_token_ids(model, sequences, PAD, batch_size=5)
    assert together.dtype == torch.float32
    assert together.tolist() == pytest.approx(alone, abs=1e-5)
    assert score_token_ids(model, sequences, PAD, batch_size=2).tolist() == pytest.approx(alone, abs=1e-5)
    assert score_token_ids(model, [], PAD, batch_size=2).shape == (0,)
    pm = LanguageModel(model, tiny_lm.tokenizer)
    texts = score_responses(pm, [[user("Hi")]] * 5, ["a", "bb" * 9, "c", "dddd", "e" * 30], batch_size=3)
    np.testing.assert_allclose(texts, alone, atol=1e-5)


def test_scoring_with_another_pad_token_is_refused(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="trained with pad_token_id=0, not 1"):
        score_token_ids(with_score_head(tiny_lm, 0.1, 1), [[1, 5, 1]], 1, batch_size=1)


def test_dataset_holds_both_answers_and_the_label(tiny_lm: LanguageModel) -> None:
    table = _comparisons(6)
    dataset = preference_dataset(tiny_lm, table, max_length=64)
    conversations = list(table["messages"])
    a = encode_answers(tiny_lm, conversations, list(table["response_a"]))
    b = encode_answers(tiny_lm, conversations, list(table["response_b"]))
    assert dataset["chosen_ids"][:] == [answer.ids for answer in a]
    assert dataset["rejected_ids"][:] == [answer.ids for answer in b]
    assert dataset["p_a_better"][:] == table["p_a_better"].tolist()


def test_long_comparisons_are_left_out_and_said(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    table = _comparisons(20)
    lengths = preference_dataset(tiny_lm, table, max_length=64)["length"][:]
    limit = sorted(lengths)[9]
    kept = sum(length <= limit for length in lengths)
    assert len(preference_dataset(tiny_lm, table, max_length=limit)) == kept
    assert f"{20 - kept} of 20 comparisons are longer than {limit} tokens" in caplog.text
    with pytest.raises(ValueError, match=r"all 20 comparisons are longer than max_length=5 tokens .*raise max_length"):
        preference_dataset(tiny_lm, table, max_length=5)


def test_no_comparisons(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="there are no comparisons to train a preference model on"):
        train_preference_model(tiny_lm, _comparisons(4).head(0), _params(), seed=1)


def test_padding_must_not_be_eos(tiny_lm: LanguageModel) -> None:
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.pad_token = "<eos>"
    base = LanguageModel(tiny_lm.model, tokenizer)
    with pytest.raises(ValueError, match=r"needs a pad token that is not EOS, got pad_token_id=1"):
        train_preference_model(base, _comparisons(4), _params(), seed=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_score_is_read_at_the_last_token_in_every_family(family: str, tiny_lm: LanguageModel) -> None:
    base = LanguageModel(family_model(family, len(tiny_lm.tokenizer)), tiny_lm.tokenizer)
    if type(base.model.config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        with pytest.raises(ValueError, match=r"no preference model .* for the family '\w+' of \w+; take a base model"):
            with_score_head(base, 1.0, seed=1)
        return
    model = with_score_head(base, 1.0, seed=1)
    # padding within a text, and before its end: only what stands behind the end is left out
    sequences = [[5, 6, 7, 1], [*range(5, 40), 0, 8, 1], [9, 0, 0, 1], [4, 3, 2, *range(90, 100), 1]]
    scores = score_token_ids(model, sequences, pad_token_id=0, batch_size=4)
    with torch.no_grad():
        expected = [float(model.score(model.base_model(torch.tensor([ids]))[0])[0, -1]) for ids in sequences]
    assert scores.tolist() == pytest.approx(expected, abs=1e-5)
    assert np.ptp(expected) > 0.1


def test_a_batch_in_parts_teaches_what_the_whole_batch_teaches(tiny_lm: LanguageModel) -> None:
    one_step = {"epochs": 1, "batch_size": 16, "warmup_steps": 0, "log_every": 1, "head_std": 0.5}
    curves = [
        train_preference_model(tiny_lm, _comparisons(16), _params(**one_step, device_batch_size=size), 0)[1]
        for size in (None, 4)
    ]
    for metric in ("loss", "grad_norm"):
        value, same = (float(each[each["metric"] == metric]["value"].iloc[0]) for each in curves)
        assert same == pytest.approx(value, rel=1e-3), metric
