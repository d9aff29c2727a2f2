"""In every family, a batch gives each row what the model gives it alone: sampled tokens and log-probabilities."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from cai_kedro.engines.choices import choice_token_logprobs
from cai_kedro.engines.family_probe import batch_rules
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.transformers_engine import TransformersEngine
from tests.engines.families import FAMILIES, family_model

VOCABULARY, NEW = 64, 10
_IDS = np.random.default_rng(3).integers(2, VOCABULARY, size=300).tolist()
SHARED = _IDS[:30]
#: Rows that begin alike and rows that do not, of lengths beyond the window; two are the same.
PROMPTS = [SHARED + _IDS[30:39], SHARED + _IDS[40:43], SHARED[:12] + _IDS[50:80], _IDS[80:85], _IDS[85:118]]
PROMPTS += [SHARED + _IDS[30:39], *(_IDS[i : i + 7] for i in range(120, 140, 5)), *([*SHARED, i] for i in (3, 4, 5))]
CHOICES = [[5, 6, 7], [5, 9], [8]]


def greedy(model: PreTrainedModel, prompts: list[list[int]]) -> list[list[int]]:
    return sample_tokens(
        model,
        prompts,
        temperature=0.0,
        top_p=1.0,
        max_new_tokens=NEW,
        seeds=range(len(prompts)),
        eos_token_id=1,
        pad_token_id=0,
        max_batch_tokens=4096,
    )


def generated(model: PreTrainedModel, ids: list[int]) -> list[int]:
    mask = torch.ones(1, len(ids), dtype=torch.long)
    settings = {"do_sample": False, "max_new_tokens": NEW, "pad_token_id": 0, "eos_token_id": 1}
    return model.generate(torch.tensor([ids]), attention_mask=mask, **settings)[0, len(ids) :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_is_single_is_generate(family: str) -> None:
    model = family_model(family, VOCABULARY)
    expected = [generated(model, ids) for ids in PROMPTS]
    assert len({tuple(ids) for ids in expected}) > 4  # the model reads what it is given
    assert greedy(model, PROMPTS) == expected
    assert [greedy(model, [ids])[0] for ids in PROMPTS[:5]] == expected[:5]


@pytest.mark.parametrize("family", FAMILIES)
def test_choices_of_a_batch_are_those_of_plain_forward_passes(family: str) -> None:
    model = family_model(family, VOCABULARY)
    batched = choice_token_logprobs(model, PROMPTS[:6], CHOICES, pad_token_id=0, max_batch_tokens=4096)
    for ids, of_choices in zip(PROMPTS, batched, strict=False):
        for choice, logprob in zip(CHOICES, of_choices, strict=True):
            with torch.no_grad():
                full = model(torch.tensor([ids + choice])).logits[0].float().log_softmax(-1)
            at = range(len(ids) - 1, len(ids) - 1 + len(choice))
            assert logprob == pytest.approx(float(full[at, choice].sum()), abs=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("family", "rules"),
    [
        ("llama", (True, True, True)),
        ("gpt_neox", (True, True, True)),
        ("nemotron", (True, True, False)),  # its attention does not hand on what ours needs
        ("bloom", (True, True, False)),
        ("mpt", (True, False, False)),  # its bias goes by the place in the cache
        ("gpt_neo", (True, False, False)),  # a window that the cache does not tell of
        ("mistral", (True, False, False)),
        ("recurrent_gemma", (False, False, False)),  # its state takes padding for tokens
    ],
)
def test_a_family_saves_what_it_can(family: str, rules: tuple[bool, bool, bool], dtype: torch.dtype) -> None:
    known = batch_rules(family_model(family, VOCABULARY).to(dtype))
    assert (known.padding, known.levels, known.prefix) == rules


def test_rounding_that_adds_up_over_many_layers_is_no_fault_of_a_family() -> None:
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=300, num_hidden_layers=24, initializer_range=0.3, **small)
    known = batch_rules(LlamaForCausalLM(config).eval().to(torch.bfloat16))
    assert (known.padding, known.levels, known.prefix) == (True, True, True)


def test_a_window_wider_than_the_probe_reads_is_found() -> None:
    model = family_model("gpt_neo", VOCABULARY)
    model.config.window_size = 200
    for block in model.transformer.h:
        attention = block.attn.attention
        if attention.attention_type == "local":
            attention.bias = attention.bias.new_ones(256, 256).tril() ^ attention.bias.new_ones(256, 256).tril(-200)
            attention.bias = attention.bias[None, None]
    assert not batch_rules(model).levels


def test_a_family_that_keeps_no_cache_is_refused(tiny_lm: LanguageModel) -> None:
    model = family_model("rwkv", len(tiny_lm.tokenizer))
    with pytest.raises(ValueError, match=r"RwkvForCausalLM cannot be sampled .* no cache; use a model of another"):
        TransformersEngine(LanguageModel(model, tiny_lm.tokenizer), max_batch_tokens=100, dtype="float32")


def test_a_cache_that_is_not_used_is_refused(tiny_lm: LanguageModel) -> None:
    def forgets(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        if "past_key_values" in kwargs:
            kwargs = {"input_ids": kwargs["input_ids"]}
        return args, kwargs

    tiny_lm.model.register_forward_pre_hook(forgets, with_kwargs=True)
    with pytest.raises(ValueError, match=r"LlamaForCausalLM cannot .* off by \d\.\d of their standard deviations"):
        batch_rules(tiny_lm.model)


def test_it_is_tried_out_once_a_model(tiny_lm: LanguageModel) -> None:
    passes = []
    batch_rules(tiny_lm.model)
    tiny_lm.model.register_forward_hook(lambda *_: passes.append(1))
    batch_rules(tiny_lm.model)
    assert not passes


@pytest.mark.parametrize("family", ["llama", "gpt2", "mpt"])
def test_a_prompt_beyond_the_context_is_told_in_every_family(family: str) -> None:
    with pytest.raises(ValueError, match=r"the prompt of row 1 has 260 tokens .* the model's context is 256 tokens"):
        greedy(family_model(family, VOCABULARY), [[2, 3], [2] * 260])
