"""What prompts have in common is read once, and nothing that comes out changes."""

import numpy as np
import pytest
import torch

from cai_kedro.engines import reading, shared_prefix
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.prefix_tree import one_level
from cai_kedro.engines.sampling import sample_tokens
from cai_kedro.engines.transformers_engine import TransformersEngine
from tests.asks import plain

SHOTS = "\n\nHuman: one example\n\nAssistant: and its answer" * 2
ASKED = [
    "\n\nHuman: hello",
    "\n\nHuman: a longer question, with words",
    "\n\nHuman: a longer question, with verbs",
    "x",
]
PROMPTS = [f"{SHOTS}{asked}\n\nAssistant:" for asked in ASKED]
CHOICES = (" (A)", " (B)")


def engine_on(lm: LanguageModel, budget: int = 4096) -> TransformersEngine:
    return TransformersEngine(lm, max_batch_tokens=budget, dtype="float32")


def every_prefix_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_prefix, "can_attend", lambda model: False)


def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    every_prefix_copied(monkeypatch)
    monkeypatch.setattr(reading, "plan_levels", lambda rows, own, widest: one_level(rows))


class TokensRead:
    """Counts the tokens that a model computes."""

    def __init__(self, lm: LanguageModel) -> None:
        self.n = 0
        lm.model.get_input_embeddings().register_forward_hook(self._count)

    def _count(self, module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        self.n += inputs[0].numel()


def test_greedy_with_a_shared_prefix_equals_generate(any_lm: LanguageModel) -> None:
    encoded = [any_lm.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in PROMPTS]
    ours = sample_tokens(
        any_lm.model,
        encoded,
        temperature=0.0,
        top_p=1.0,
        max_new_tokens=24,
        seeds=range(len(encoded)),
        eos_token_id=1,
        pad_token_id=0,
        max_batch_tokens=4096,
    )
    for ids, sampled in zip(encoded, ours, strict=True):
        expected = any_lm.model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids)),
            do_sample=False,
            max_new_tokens=24,
            pad_token_id=0,
            eos_token_id=1,
        )
        assert sampled == expected[0, len(ids) :].tolist()


def test_samples_are_those_without_sharing(any_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def completions() -> list[str]:
        sampling = Sampling(temperature=1.0, top_p=0.9, max_new_tokens=24)
        return [c.text for c in engine_on(any_lm).generate(plain(PROMPTS * 2), sampling, range(8))]

    attended = completions()
    every_prefix_copied(monkeypatch)
    copied = completions()
    nothing_shared(monkeypatch)
    assert attended == copied == completions()


def test_likelihood_of_whole_samples_is_what_the_model_says(tiny_lm: LanguageModel) -> None:
    # for x ~ p, log p(x) + entropy is a martingale difference: its sum over its deviation is a standard normal
    steps, encoded = 6, [tiny_lm.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in PROMPTS[:3]]
    rows = [ids for ids in encoded for _ in range(150)]
    sampled = sample_tokens(
        tiny_lm.model,
        rows,
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=steps,
        seeds=range(len(rows)),
        eos_token_id=None,
        pad_token_id=0,
        max_batch_tokens=1_000_000,
    )

    def z(temperature: float) -> float:
        excess, variance = 0.0, 0.0
        for start, ids in enumerate(encoded):
            new = torch.tensor(sampled[start * 150 : (start + 1) * 150])
            with torch.no_grad():
                logits = tiny_lm.model(torch.cat([torch.tensor(ids).expand(150, -1), new], 1)).logits.double()
            logprobs = torch.log_softmax(logits[:, len(ids) - 1 : -1] / temperature, -1)
            entropy = -(logprobs.exp() * logprobs).sum(-1)
            excess += float((logprobs.gather(-1, new[..., None])[..., 0] + entropy).sum())
            variance += float(((logprobs.exp() * logprobs**2).sum(-1) - entropy**2).sum())
        return excess / variance**0.5

    assert abs(z(1.0)) < 3.3
    assert abs(z(1.1)) > 3.3  # the test sees a temperature that is a tenth off


def test_choices_are_those_without_sharing(any_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    attended = engine_on(any_lm).choice_logprobs(plain(PROMPTS, CHOICES))
    every_prefix_copied(monkeypatch)
    copied = engine_on(any_lm).choice_logprobs(plain(PROMPTS, CHOICES))
    nothing_shared(monkeypatch)
    alone = engine_on(any_lm).choice_logprobs(plain(PROMPTS, CHOICES))
    assert np.ptp(alone) > 0.1
    assert attended == pytest.approx(alone, abs=1e-4)
    assert copied == pytest.approx(alone, abs=1e-4)


def test_the_prefix_is_read_once(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    read = TokensRead(tiny_lm)
    engine = engine_on(tiny_lm)
    counts = []
    for share in (lambda _: None, every_prefix_copied, nothing_shared):
        share(monkeypatch)
        read.n = 0
        engine.choice_logprobs(plain(PROMPTS, CHOICES))
        counts.append(read.n)
    attended, copied, alone = counts
    # byte tokens: three of four prompts need not read the examples (and those three begin their question alike)
    assert alone - attended >= 3 * len(SHOTS)
    assert alone - copied >= 3 * len(SHOTS)


def test_only_families_that_can_attend_to_it_keep_one_copy(any_lm: LanguageModel) -> None:
    window = any_lm.model.config.model_type == "mistral"
    assert shared_prefix.can_attend(any_lm.model) is not window
    prefix = shared_prefix.read_prefix(any_lm.model, [[*range(2, 40), 1], [*range(2, 40), 0]], own=1)
    assert prefix is None if window else prefix.length == 38
    assert any_lm.model.config._attn_implementation == "sdpa"


def test_attention_that_asks_for_more_is_left_alone(tiny_lm: LanguageModel) -> None:
    rows = [[*range(2, 40), 1], [*range(2, 40), 0]]
    assert shared_prefix.read_prefix(tiny_lm.model, rows, own=1) is not None
    last = tiny_lm.model.model.layers[-1].self_attn
    last.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, "sliding_window": 8}), with_kwargs=True)
    assert shared_prefix.read_prefix(tiny_lm.model, rows, own=1) is None


def test_attention_that_is_not_transformers_own_is_left_alone(tiny_lm: LanguageModel) -> None:
    rows = [[*range(2, 40), 1], [*range(2, 40), 0]]
    last = tiny_lm.model.model.layers[-1].self_attn

    def drop(_: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        last.config._attn_implementation = "sdpa"  # this layer does not ask for what was set
        return args, kwargs

    last.register_forward_pre_hook(drop, with_kwargs=True)
    assert shared_prefix.read_prefix(tiny_lm.model, rows, own=1) is None


def test_how_much_all_rows_share() -> None:
    many = list(range(30))
    assert shared_prefix.shared_length([[*many, 1], [*many, 2, 3], [*many, 1, 4]], own=1) == 30
    assert shared_prefix.shared_length([many, [*many, 1]], own=2) == 28
    assert shared_prefix.shared_length([many], own=1) == 0
    assert shared_prefix.shared_length([many, many[:10]], own=1) == 0


def test_the_budget_bounds_what_is_cached(tiny_lm: LanguageModel) -> None:
    whole = engine_on(tiny_lm).choice_logprobs(plain(PROMPTS, CHOICES))
    for budget in (1, 300, 330, 700):
        assert engine_on(tiny_lm, budget).choice_logprobs(plain(PROMPTS, CHOICES)) == pytest.approx(whole, abs=1e-4)


def test_out_of_memory_halves_the_batch(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_on(tiny_lm)
    whole = engine.choice_logprobs(plain(PROMPTS, CHOICES))
    allocate, rows = reading.Reader.prompts, []

    def small(reader: reading.Reader, keep: int = 1) -> torch.Tensor:
        rows.append(len(reader._prompts))
        if rows[-1] > 2:
            raise torch.OutOfMemoryError("no room")
        return allocate(reader, keep)

    monkeypatch.setattr(reading.Reader, "prompts", small)
    assert engine.choice_logprobs(plain(PROMPTS, CHOICES)) == pytest.approx(whole, abs=1e-4)
    assert rows == [4, 2, 2]
