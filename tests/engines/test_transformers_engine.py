"""Sampling and choice log-probabilities against plain forward passes of the same model."""

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from cai_kedro.engines.base import Sampling
from cai_kedro.engines.batching import length_sorted_batches
from cai_kedro.engines.kv_cache import PreallocatedLayer, allocate_cache
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.sampling import draw, nucleus, sample_tokens, uniforms
from cai_kedro.engines.stopping import StopStrings, token_texts
from cai_kedro.engines.transformers_engine import TransformersEngine, cast_weights
from tests.asks import plain
from tests.engines.families import family_model

PROMPTS = [
    "\n\nHuman: hello\n\nAssistant:",
    "short",
    "\n\nHuman: a much longer question, with words\n\nAssistant:",
    "\n\nHuman: x",
]
CHOICES = (" (A)", " (B)")
BUDGET = 4096


def engine_on(lm: LanguageModel, budget: int = BUDGET) -> TransformersEngine:
    return TransformersEngine(lm, max_batch_tokens=budget, dtype="float32")


def sampling(temperature: float = 1.0, top_p: float = 1.0, n: int = 12) -> Sampling:
    return Sampling(temperature=temperature, top_p=top_p, max_new_tokens=n)


def encode(lm: LanguageModel, text: str) -> list[int]:
    return [lm.tokenizer.bos_token_id, *lm.tokenizer(text, add_special_tokens=False)["input_ids"]]


def sampled_ids(lm: LanguageModel, prompt_ids: list[list[int]], **changed: object) -> list[list[int]]:
    settings = {
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 12,
        "seeds": range(len(prompt_ids)),
        "eos_token_id": None,
        "pad_token_id": 0,
        "max_batch_tokens": BUDGET,
    }
    return sample_tokens(lm.model, prompt_ids, **{**settings, **changed})


def last_logits(lm: LanguageModel, ids: list[int]) -> Tensor:
    with torch.no_grad():
        return lm.model(torch.tensor([ids])).logits[0, -1]


# sampling: which token


def test_greedy_equals_generate(any_lm: LanguageModel) -> None:
    prompt_ids = [encode(any_lm, prompt) for prompt in PROMPTS]
    ours = sampled_ids(any_lm, prompt_ids, temperature=0.0, max_new_tokens=20, eos_token_id=1)
    for ids, sampled in zip(prompt_ids, ours, strict=True):
        expected = any_lm.model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids)),
            do_sample=False,
            max_new_tokens=20,
            pad_token_id=0,
            eos_token_id=1,
        )
        assert sampled == expected[0, len(ids) :].tolist()


def test_samples_of_one_prompt_beside_prompts_that_share_nothing_are_as_alone(any_lm: LanguageModel) -> None:
    alone = [encode(any_lm, prompt) for prompt in PROMPTS]
    rows = [alone[2], alone[1], alone[2], alone[0], alone[2]]
    ours = sampled_ids(any_lm, rows, temperature=0.0, max_new_tokens=16)
    assert ours == [sampled_ids(any_lm, [ids], temperature=0.0, max_new_tokens=16)[0] for ids in rows]


def test_rows_that_end_leave_the_batch_without_changing_the_others(any_lm: LanguageModel) -> None:
    prompt_ids = [encode(any_lm, prompt) for prompt in PROMPTS] * 6
    whole = sampled_ids(any_lm, prompt_ids, max_new_tokens=16)
    wanted = [3] * 9 + [5] * 8 + [9, 16] * 3 + [16]
    place = {tuple(ids[:n]): n for ids, n in zip(whole, wanted, strict=True)}
    rows: list[int] = []
    any_lm.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    cut = sampled_ids(any_lm, prompt_ids, max_new_tokens=16, stop=lambda ids: tuple(ids) in place)
    assert cut == [ids[:n] for ids, n in zip(whole, wanted, strict=True)]
    # 24 prompts, 15 live after 3 tokens, 7 after 5: what is left is rounded up to eights
    assert sorted({n for n in rows if n > 4}) == [8, 16, 24]


def test_other_rows_do_not_change_a_sample(tiny_lm: LanguageModel) -> None:
    engine = engine_on(tiny_lm)
    alone = [engine.generate(plain([p]), sampling(), [s])[0] for p, s in zip(PROMPTS, (5, 6, 7, 8), strict=True)]
    together = engine.generate(plain([*PROMPTS[::-1], "more", "and more rows"]), sampling(), [8, 7, 6, 5, 1, 2])
    assert together[:4] == alone[::-1]
    assert engine_on(tiny_lm, budget=1).generate(plain(PROMPTS), sampling(), [5, 6, 7, 8]) == alone


def test_the_seed_decides_and_a_longer_draw_starts_with_the_shorter(tiny_lm: LanguageModel) -> None:
    prompt = [encode(tiny_lm, PROMPTS[0])]
    first, other = (sampled_ids(tiny_lm, prompt, seeds=[seed]) for seed in (1, 2))
    assert first != other
    assert sampled_ids(tiny_lm, prompt, seeds=[1], max_new_tokens=5)[0] == first[0][:5]
    assert uniforms(3, 4).tolist() == uniforms(3, 9)[:4].tolist()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax(tiny_lm: LanguageModel, temperature: float) -> None:
    n, ids = 3000, encode(tiny_lm, PROMPTS[0])
    sampled = sampled_ids(
        tiny_lm, [ids] * n, temperature=temperature, max_new_tokens=1, max_batch_tokens=n * (len(ids) + 1)
    )
    counts = Counter(row[0] for row in sampled)

    def p_value(of_temperature: float) -> float:
        expected = torch.softmax(last_logits(tiny_lm, ids).double() / of_temperature, -1).numpy() * n
        likely = expected >= 5
        observed = np.array([counts[token] for token in range(len(expected))])
        table = [[*o[likely].tolist(), o[~likely].sum()] for o in (observed, expected)]
        return float(chisquare(*table).pvalue)

    assert p_value(temperature) > 0.001
    assert p_value(temperature * 1.3) < 1e-6  # the test sees a wrong temperature


def test_second_token_follows_the_first(tiny_lm: LanguageModel) -> None:
    # one row by hand: the token at which the cumulative distribution passes the row's uniform
    ids, seed = encode(tiny_lm, PROMPTS[2]), 11
    sampled = sampled_ids(tiny_lm, [ids], seeds=[seed], max_new_tokens=6)[0]
    for step, u in enumerate(uniforms(seed, 6)):
        cumulative = torch.softmax(last_logits(tiny_lm, ids + sampled[:step]).double(), -1).cumsum(-1)
        assert sampled[step] == int((cumulative <= u).sum())


def test_nucleus_by_hand() -> None:
    probabilities = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.25, 0.25, 0.25, 0.25]])
    assert nucleus(probabilities, 0.7).tolist() == [
        [0.0, 0.5, 0.0, 0.25],
        pytest.approx([0.25, 0.25, 0.25, 0.0]),
    ]
    assert nucleus(probabilities, 0.01)[0].tolist() == [0.0, 0.5, 0.0, 0.0]


def test_top_p_stays_in_the_nucleus(tiny_lm: LanguageModel) -> None:
    ids, top_p = encode(tiny_lm, PROMPTS[0]), 0.6
    probabilities, order = torch.softmax(last_logits(tiny_lm, ids), -1).sort(descending=True)
    size = int((probabilities.cumsum(-1) < top_p).sum()) + 1
    inside = set(order[:size].tolist())
    sampled = sampled_ids(tiny_lm, [ids] * 1000, top_p=top_p, max_new_tokens=1, max_batch_tokens=100_000)
    assert {row[0] for row in sampled} == inside
    free = sampled_ids(tiny_lm, [ids] * 1000, max_new_tokens=1, max_batch_tokens=100_000)
    assert {row[0] for row in free} - inside


def test_impossible_tokens_are_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]] * 3)
    u = torch.tensor([0.0, 0.5, float(np.nextafter(np.float32(1), np.float32(0)))])
    assert draw(logits, u, 1.0, 1.0).tolist() == [1, 2, 2]
    assert draw(logits[:1], u[:1], 1.0, 0.9).tolist() == [1]


def test_diverged_weights_are_an_error(tiny_lm: LanguageModel) -> None:
    with torch.no_grad():
        tiny_lm.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="NaN"):
        sampled_ids(tiny_lm, [[1, 5]])


# texts


def test_eos_ends_a_row(tiny_lm: LanguageModel) -> None:
    ids = encode(tiny_lm, PROMPTS[0])
    whole = sampled_ids(tiny_lm, [ids])[0]
    eos = whole[4]
    assert sampled_ids(tiny_lm, [ids], eos_token_id=eos)[0] == whole[: whole.index(eos) + 1]


def test_stop_strings_cut_and_say_so(tiny_lm: LanguageModel) -> None:
    engine = engine_on(tiny_lm)
    free = engine.generate(plain(PROMPTS), sampling(n=40), range(4))
    row, stop = next(
        (i, c.text[k : k + 2])
        for i, c in enumerate(free)
        for k in range(3, len(c.text) - 2)
        if c.finish_reason == "length" and c.text[k : k + 2].isalnum() and c.text[k : k + 2].isascii()
    )
    cut = engine.generate(plain(PROMPTS, stops=[stop, "never ever"]), sampling(n=40), range(4))
    assert cut[row].text == free[row].text[: free[row].text.index(stop)].strip()
    assert cut[row].finish_reason == "stop"
    for mine, before in zip(cut, free, strict=True):
        assert mine == before or stop in before.text


def test_stop_string_is_seen_once_complete(tiny_lm: LanguageModel) -> None:
    stops = StopStrings(tiny_lm.tokenizer, ["\n\nHuman:", "é"], token_texts(tiny_lm.tokenizer))
    for text in ("well.\n\nHuman:", "caf\u00e9"):
        ids = tiny_lm.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert [stops(ids[:n]) for n in range(1, len(ids) + 1)] == [False] * (len(ids) - 1) + [True]
    assert stops.cut("yes \n\nHuman: caf\u00e9") == ("yes ", True)
    assert stops.cut("yes") == ("yes", False)
    with pytest.raises(ValueError, match="empty"):
        StopStrings(tiny_lm.tokenizer, [""], [])


def test_eos_gives_finish_reason_stop(tiny_lm: LanguageModel) -> None:
    with torch.no_grad():  # the last norm's output points at EOS whatever was read
        tiny_lm.model.config.tie_word_embeddings = False
        head = torch.nn.Linear(32, len(tiny_lm.tokenizer))
        head.weight.zero_()
        head.bias.copy_(100.0 * (torch.arange(len(tiny_lm.tokenizer)) == tiny_lm.tokenizer.eos_token_id))
        tiny_lm.model.lm_head = head
    (completion,) = engine_on(tiny_lm).generate(plain(["x"]), sampling(), [0])
    assert (completion.text, completion.finish_reason) == ("", "stop")


def test_same_call_same_texts_in_bf16(tiny_lm: LanguageModel) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=200, dtype="bfloat16")
    first, again = (engine.generate(plain(PROMPTS), sampling(top_p=0.9), range(4)) for _ in range(2))
    assert first == again


# what a prompt may be


def test_too_long_prompt_names_row_and_limit(tiny_lm: LanguageModel) -> None:
    tiny_lm.model.config.max_position_embeddings = 20
    engine = engine_on(tiny_lm)
    with pytest.raises(ValueError, match=r"row 1 has 31 tokens .* 1 more, the model's context is 20"):
        engine.generate(plain(["ok", "x" * 30]), sampling(), [0, 1])
    with pytest.raises(ValueError, match=r"row 0 has 18 tokens .* 4 more"):
        engine.choice_logprobs(plain(["x" * 17], CHOICES))


def test_generation_ends_where_the_context_does(tiny_lm: LanguageModel) -> None:
    tiny_lm.model.config.max_position_embeddings = 20
    assert [len(ids) for ids in sampled_ids(tiny_lm, [[1] * 15, [1] * 4])] == [5, 12]


def test_empty_prompt_and_missing_seed_are_errors(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="row 1 is empty"):
        sampled_ids(tiny_lm, [[1], []])
    with pytest.raises(ValueError, match="2 prompts and 1 seeds"):
        engine_on(tiny_lm).generate(plain(["a", "b"]), sampling(), [0])


def test_no_rows(tiny_lm: LanguageModel) -> None:
    assert engine_on(tiny_lm).generate(plain([]), sampling(), []) == []
    assert engine_on(tiny_lm).choice_logprobs(plain([], CHOICES)).shape == (0, 2)


def test_a_prompt_gets_one_bos_and_spells_none(tiny_lm: LanguageModel) -> None:
    engine, read = engine_on(tiny_lm), tiny_lm.tokenizer
    scored = engine.choice_logprobs(plain(["hello", "<eos>hello"], [" A"]))
    for text, logprob in zip(["hello", "<eos>hello"], scored[:, 0], strict=True):
        spelled = [1, *(i for letter in text for i in read(letter)["input_ids"])]
        target = read(" A")["input_ids"]
        with torch.no_grad():
            full = torch.log_softmax(tiny_lm.model(torch.tensor([spelled + target])).logits[0], -1)
        expected = sum(float(full[len(spelled) - 1 + k, token]) for k, token in enumerate(target))
        assert logprob == pytest.approx(expected, abs=1e-4)


# choices


@pytest.mark.parametrize(
    "choices",
    [CHOICES, (" yes", " no, never", " nope"), (" A",), (" A", " A and B")],
    ids=["letters", "lengths", "one", "prefix"],
)
def test_choice_logprobs_equal_full_forwards(any_lm: LanguageModel, choices: tuple[str, ...]) -> None:
    prompts = [*PROMPTS, "one more", "and one"]
    logprobs = engine_on(any_lm, budget=150).choice_logprobs(plain(prompts, choices))
    assert logprobs.shape == (len(prompts), len(choices))
    for i, prompt in enumerate(prompts):
        for j, choice in enumerate(choices):
            ids, target = encode(any_lm, prompt), any_lm.tokenizer(choice)["input_ids"]
            with torch.no_grad():
                full = torch.log_softmax(any_lm.model(torch.tensor([ids + target])).logits[0], -1)
            expected = sum(float(full[len(ids) - 1 + k, token]) for k, token in enumerate(target))
            assert logprobs[i, j] == pytest.approx(expected, abs=1e-4)


def test_empty_choice_is_an_error(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        engine_on(tiny_lm).choice_logprobs(plain(["x"], ["", "a"]))


# the model given


def test_given_model_is_left_alone(tiny_lm: LanguageModel) -> None:
    before = copy.deepcopy(tiny_lm.model.state_dict())
    tiny_lm.model.train()
    for dtype in ("float32", "bfloat16"):
        TransformersEngine(tiny_lm, max_batch_tokens=BUDGET, dtype=dtype).generate(plain(["x"]), sampling(), [0])
    assert tiny_lm.model.training
    assert all(torch.equal(before[name], weights) for name, weights in tiny_lm.model.state_dict().items())
    assert tiny_lm.model.dtype == torch.float32


def test_cast_keeps_rotary_frequencies(tiny_lm: LanguageModel) -> None:
    cast = cast_weights(tiny_lm.model, torch.bfloat16)
    assert cast.dtype == torch.bfloat16
    assert cast.lm_head.weight.data_ptr() == cast.model.embed_tokens.weight.data_ptr()
    assert torch.equal(cast.model.rotary_emb.inv_freq, tiny_lm.model.model.rotary_emb.inv_freq)


def test_fingerprint_follows_weights_and_tokenizer(tiny_lm: LanguageModel) -> None:
    fingerprint = engine_on(tiny_lm).fingerprint
    tiny_lm.tokenizer(["a", "long text"], padding=True)  # leaves a trace in the tokenizer's state
    assert engine_on(tiny_lm, budget=7).fingerprint == fingerprint
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.pad_token = "<eos>"
    assert engine_on(LanguageModel(tiny_lm.model, tokenizer)).fingerprint != fingerprint
    with torch.no_grad():
        tiny_lm.model.model.norm.weight[0] += 1e-3
    assert engine_on(tiny_lm).fingerprint != fingerprint


# parts


def test_batches_stay_within_the_budget() -> None:
    costs = [5, 50, 7, 30, 31, 8]
    batches = length_sorted_batches(costs, 62)
    assert batches == [[1], [4, 3], [5, 2, 0]]
    assert length_sorted_batches(costs, 1) == [[1], [4], [3], [5], [2], [0]]


def test_cache_layer_writes_in_place() -> None:
    layer = PreallocatedLayer(capacity=5)
    states = torch.arange(24.0).reshape(2, 3, 4, 1)
    layer.update(states[:, :, :3], -states[:, :, :3])
    start = layer.keys.data_ptr()
    keys, values = layer.update(states[:, :, 3:], -states[:, :, 3:])
    assert torch.equal(keys, states)
    assert torch.equal(values, -states)
    assert keys.data_ptr() == start
    layer.crop(-2)
    layer.reorder_cache(torch.tensor([1]))
    assert torch.equal(layer.keys, states[1:, :, :2])
    with pytest.raises(ValueError, match="holds 5 tokens a row, 6"):
        layer.update(states[1:], states[1:])


def test_sliding_window_layers_keep_their_own_cache(tiny_lm: LanguageModel) -> None:
    window = allocate_cache(family_model("mistral", len(tiny_lm.tokenizer)), 9)
    assert not any(isinstance(layer, PreallocatedLayer) for layer in window.layers)
    assert all(isinstance(layer, PreallocatedLayer) for layer in allocate_cache(tiny_lm.model, 9).layers)


@pytest.mark.parametrize("family", ["gpt2", "opt", "mpt", "llama"])
def test_a_row_that_the_context_ends_early_does_not_read_on_beside_the_others(family: str) -> None:
    model = family_model(family, 258)
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 250, (n,), generator=generator).tolist() for n in (5, 247, 252, 252, 255)]
    settings: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 16, "max_batch_tokens": 4096}

    def sampled(places: Sequence[int]) -> list[list[int]]:
        some = [rows[i] for i in places]
        return sample_tokens(model, some, seeds=list(places), eos_token_id=None, pad_token_id=0, **settings)

    together = sampled(range(5))
    assert [len(ids) for ids in together] == [16, 9, 4, 4, 1]  # of a context of 256
    assert together == [sampled([i])[0] for i in range(5)]
