"""What is measured of the policies along a run, on a tiny model."""

import copy

import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import replies as drawn
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.learning.preference import score_responses
from cai_kedro.learning.snapshots import snapshot_signals
from tests.learning.rl.test_ppo import prompt_table, settings


@pytest.fixture
def tiny_pm(tiny_lm: LanguageModel) -> LanguageModel:
    config = LlamaConfig(**{**tiny_lm.model.config.to_dict(), "num_labels": 1, "tie_word_embeddings": False})
    torch.manual_seed(1)
    return LanguageModel(LlamaForSequenceClassification(config).eval(), tiny_lm.tokenizer)


def moved(lm: LanguageModel, by: float) -> LanguageModel:
    torch.manual_seed(2)
    model = copy.deepcopy(lm.model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(by * torch.randn_like(weight))
    return LanguageModel(model, lm.tokenizer)


def signals(lm: LanguageModel, pm: LanguageModel, snapshots: dict[int, LanguageModel]) -> pd.DataFrame:
    return snapshot_signals(lm, snapshots, pm, prompt_table(6), settings(max_new_tokens=6), 3)


def test_the_start_policy_is_step_0_and_has_not_drifted(tiny_lm: LanguageModel, tiny_pm: LanguageModel) -> None:
    table = check_table("signals", signals(tiny_lm, tiny_pm, {5: tiny_lm, 10: moved(tiny_lm, 0.05)}))
    assert table.groupby("step").size().to_dict() == {0: 6, 5: 6, 10: 6}
    start, same, other = (table[table["step"] == step].reset_index(drop=True) for step in (0, 5, 10))
    assert start["kl"].tolist() == [0.0] * 6
    pd.testing.assert_frame_equal(start.drop(columns="step"), same.drop(columns="step"))
    assert (other["kl"].abs() > 1e-3).all()
    assert start["tokens"].between(1, 6).all()
    assert (start["ended"][start["tokens"] < 6] == 1).all()


def test_a_reply_that_takes_the_next_human_turn_has_no_end_of_its_own(
    tiny_lm: LanguageModel, tiny_pm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    eos = tiny_lm.tokenizer.eos_token_id
    texts = [" Bake it.", " Bake it.\n\nHuman: Thanks.", " Bake"]
    ids = [tiny_lm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    replies = [[*ids[0], eos], [*ids[1], eos], ids[2]]
    monkeypatch.setattr(drawn, "sample_tokens", lambda *_, **__: replies)
    table = snapshot_signals(tiny_lm, {}, tiny_pm, prompt_table(3), settings(), 3)
    assert table["response"].tolist() == ["Bake it.", "Bake it.", "Bake"]
    assert table["ended"].tolist() == [1, 0, 0]
    assert table["tokens"].tolist() == [len(reply) for reply in replies]
    read = score_responses(tiny_pm, [as_messages(prompt_table(3)["messages"][1])], ["Bake it."], 1)
    assert table["pm_score"][1] == pytest.approx(float(read[0]), abs=1e-4)


def test_adding_a_snapshot_changes_no_other(tiny_lm: LanguageModel, tiny_pm: LanguageModel) -> None:
    far = moved(tiny_lm, 0.05)
    few, more = signals(tiny_lm, tiny_pm, {5: far}), signals(tiny_lm, tiny_pm, {5: far, 7: tiny_lm})
    pd.testing.assert_frame_equal(few, more[more["step"] < 7])


def test_drift_is_the_log_ratio_of_the_reply(tiny_lm: LanguageModel, tiny_pm: LanguageModel) -> None:
    far = moved(tiny_lm, 0.05)
    one = signals(tiny_lm, tiny_pm, {5: far}).query("step == 5 and ended == 1 and response != ''")
    by_id = prompt_table(6).set_index("prompt_id")["messages"]
    checked = 0
    for row in one.itertuples():
        messages = as_messages(by_id[row.prompt_id])
        (answer,) = encode_answers(tiny_lm, [messages], [row.response])
        if len(answer.completion) != row.tokens:
            continue  # sampled bytes that are no such text
        ids, first = torch.tensor([answer.ids]), len(answer.prompt)
        logs = [lm.model(ids).logits[0, first - 1 : -1].log_softmax(-1) for lm in (far, tiny_lm)]
        chosen = torch.tensor(answer.completion)[:, None]
        ratio = (logs[0].gather(1, chosen) - logs[1].gather(1, chosen)).sum().item()
        assert row.kl == pytest.approx(ratio, abs=1e-4)
        score = score_responses(tiny_pm, [messages], [row.response], 1)
        assert row.pm_score == pytest.approx(float(score[0]), abs=1e-4)
        checked += 1
    assert checked or one.empty
