"""In every family, PPO reads the very log-probabilities that the model samples from."""

import copy
import logging

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.cpu_kernels import ATTENTION, set_attention
from cai_kedro.learning.rl.ppo import train_ppo
from cai_kedro.learning.rollouts import Episodes
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.value_head import ActorCritic, has_plain_head, reply_logprobs
from tests.engines.families import FAMILIES, family_model
from tests.learning.rl.test_ppo import by_sum, curve, encoded, scorer, settings

VOCABULARY = 64
_IDS = np.random.default_rng(3).integers(2, VOCABULARY, size=100).tolist()
PROMPTS = [_IDS[:5], _IDS[5:38], _IDS[38:55]]
REPLIES = [_IDS[60:64], _IDS[64:73], _IDS[73:75]]


def own_logprobs(model: PreTrainedModel, temperature: float = 1.0) -> list[float]:
    """Return each reply's summed log-probability by the model's own forward pass."""
    sums = []
    for prompt, reply in zip(PROMPTS, REPLIES, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + reply])).logits[0].float() / temperature
        at = range(len(prompt) - 1, len(prompt) - 1 + len(reply))
        sums.append(float(logits.log_softmax(-1)[at, reply].sum()))
    return sums


@pytest.mark.parametrize("family", [*FAMILIES, "rwkv"])
def test_logprobs_are_those_of_the_models_own_forward_pass(family: str) -> None:
    model = family_model(family, VOCABULARY)
    batch = Episodes.of(PROMPTS, REPLIES, 0, torch.device("cpu")).rows(torch.arange(3))
    expected = pytest.approx(own_logprobs(model, 0.7), abs=1e-4)
    with torch.no_grad():
        logprobs, values, entropy = ActorCritic(model, 0.1)(**batch, temperature=0.7, entropy=True)
        assert reply_logprobs(model, **batch, temperature=0.7).sum(1).tolist() == expected
    assert logprobs.sum(1).tolist() == expected
    assert values.shape == entropy.shape == logprobs.shape
    assert (entropy[batch["mask"].bool()] > 0).all()


def test_only_families_that_do_more_with_their_logits_pay_for_it(tiny_lm: LanguageModel) -> None:
    assert has_plain_head(tiny_lm.model)
    plain = {family for family in FAMILIES if has_plain_head(family_model(family, VOCABULARY))}
    assert set(FAMILIES) - plain == {"gemma2", "granite", "cohere", "cohere2", "falcon_h1", "recurrent_gemma"}


def test_a_trainer_that_has_the_model_run_in_16_bit_changes_nothing(tiny_lm: LanguageModel) -> None:
    model = copy.deepcopy(tiny_lm.model)
    model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)
    assert has_plain_head(model)


@pytest.mark.parametrize("family", ["gemma2", "opt", "granite"])
def test_values_and_policy_learn_in_families_with_their_own_logits(family: str) -> None:
    model = ActorCritic(family_model(family, VOCABULARY), 1.0)
    torch.nn.init.ones_(model.value_head.weight)
    batch = Episodes.of(PROMPTS, REPLIES, 0, torch.device("cpu")).rows(torch.arange(3))
    for n in (0, 1):  # by the log-probabilities, by the values
        model.zero_grad()
        model(**batch, temperature=1.0, entropy=False)[n].sum().backward()
        assert model.policy.get_input_embeddings().weight.grad.abs().max() > 0


@pytest.mark.parametrize("family", ["gemma2", "opt", "mpt", "gpt_oss", "mamba", "recurrent_gemma"])
def test_a_rollout_starts_without_divergence_and_ends_in_numbers(family: str, tiny_lm: LanguageModel) -> None:
    lm = LanguageModel(family_model(family, len(tiny_lm.tokenizer)), tiny_lm.tokenizer)
    before = lm.model.config._attn_implementation
    result = train_ppo(lm, scorer(by_sum), encoded(lm), settings(rollouts=2), seed=5, folder=None)
    divergence = curve(result, "kl")
    assert divergence[0] == pytest.approx(0.0, abs=1e-4)
    assert divergence[1] != 0
    assert lm.model.config._attn_implementation == before


@pytest.mark.parametrize(("family", "kernel"), [("gemma2", ATTENTION), ("gpt_oss", ATTENTION), ("gemma2", "sdpa")])
def test_a_kernel_that_leaves_something_out_is_not_used(
    family: str, kernel: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = family_model(family, VOCABULARY)
    expected = own_logprobs(model)
    with caplog.at_level(logging.INFO), on_loan(model, kernel):
        assert own_logprobs(model) == pytest.approx(expected, abs=1e-4)
    assert "keeps its attention 'eager' in training" in caplog.text


@pytest.mark.parametrize("family", ["llama", "mistral", "cohere", "gpt_neox"])
def test_a_kernel_that_computes_the_same_is_used(family: str) -> None:
    model = family_model(family, VOCABULARY)
    expected = own_logprobs(model)
    set_attention(model, ATTENTION)
    assert model.config._attn_implementation == ATTENTION
    assert own_logprobs(model) == pytest.approx(expected, abs=1e-4)


def test_a_model_without_an_output_head_is_refused() -> None:
    with pytest.raises(ValueError, match=r"LlamaModel has no output head.* expected a causal LM"):
        ActorCritic(family_model("llama", VOCABULARY).model, 0.1)
