"""PPO's loop: it learns, the KL penalty holds it back, and an interrupted run ends where an uninterrupted one ends."""

import logging
import re
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.rewards import Scorer
from cai_kedro.learning.rl import algorithm_of
from cai_kedro.learning.rl import train as train_by
from cai_kedro.learning.rl.ppo import PPOParams, train_ppo
from cai_kedro.learning.rl_params import AlgorithmParams, Data, RLResult
from cai_kedro.learning.rollouts import EncodedPrompts, Episodes, drawn_prompts, encode_prompts, sample_seeds
from cai_kedro.learning.value_head import ActorCritic

SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "rollouts": 3,
    "prompts_per_rollout": 4,
    "samples_per_prompt": 2,
    "ppo_epochs": 2,
    "minibatch_size": 4,
    "learning_rate": 3e-3,
    "value_learning_rate": 1e-2,
    "warmup_rollouts": 2,
    "clip_range": 0.2,
    "value_clip_range": 0.5,
    "vf_coef": 0.5,
    "value_trunk_gradient": 0.1,
    "gamma": 1.0,
    "gae_lambda": 0.95,
    "whiten_advantages": True,
    "center_scores": True,
    "scale_rewards": False,
    "kl_coef": 0.05,
    "kl_target": 3.0,
    "kl_horizon": 100,
    "max_new_tokens": 6,
    "temperature": 1.0,
    "missing_eos_penalty": 0.5,
    "max_grad_norm": 1.0,
    "max_batch_tokens": 400,
    "snapshot_every": 2,
}


def settings(**changed: Any) -> PPOParams:
    return PPOParams(**(SETTINGS | changed))


def settings_of(algorithm: str, **changed: Any) -> AlgorithmParams:
    """Return the same settings for another algorithm, as far as it has them."""
    kind = algorithm_of(algorithm)
    return kind(**{name: value for name, value in SETTINGS.items() if name in kind.model_fields} | changed)


def train_against(
    policy: LanguageModel, preference_model: LanguageModel, prompts: pd.DataFrame, params: AlgorithmParams, seed: int
) -> RLResult:
    return train_by(policy, Data(prompts=prompts, preference_model=preference_model), params, seed)


def prompt_table(n: int = 10) -> pd.DataFrame:
    return pd.DataFrame(
        {"prompt_id": [f"p{i}" for i in range(n)], "messages": [[user("x" * (1 + i % 3))] for i in range(n)]}
    )


def encoded(lm: LanguageModel, n: int = 10) -> EncodedPrompts:
    return encode_prompts(prompt_table(n), lm, 100)


Score = Callable[[EncodedPrompts, Sequence[list[int]]], Tensor]


def scorer(score: Score) -> Scorer:
    return Scorer("pm_score", "PM score", "the preference model", score)


def share_of(token: int) -> Score:
    """A reward that knows what it wants: four times the share of one token in the reply."""

    def score(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        return torch.tensor([4.0 * reply.count(token) / len(reply) for reply in replies])

    return score


def by_sum(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
    return torch.tensor([sum(reply) % 7 / 3 for reply in replies])


def train(lm: LanguageModel, params: PPOParams, score: Score = by_sum, run_dir: Path | None = None) -> RLResult:
    return train_ppo(lm, scorer(score), encoded(lm), params, seed=5, folder=run_dir and folder(run_dir))


def folder(run_dir: Path) -> RunFolder:
    """Return a folder that gets a checkpoint at every boundary."""
    return RunFolder(run_dir, "this run", 0.0)


def curve(result: RLResult, metric: str) -> list[float]:
    return result.curves.query("metric == @metric").sort_values("step")["value"].tolist()


def copies(lm: LanguageModel, n: int) -> list[LanguageModel]:
    models = [type(lm.model)(lm.model.config).eval() for _ in range(n)]
    for model in models:
        model.load_state_dict(lm.model.state_dict())
    return [LanguageModel(model, lm.tokenizer) for model in models]


# ---- rollouts


def test_prompts_are_drawn_without_replacement_and_each_epoch_anew() -> None:
    names = [f"p{i}" for i in range(7)]
    rollouts = [drawn_prompts(names, 3, rollout, seed=1) for rollout in range(4)]
    first, second = rollouts[0] + rollouts[1], rollouts[2] + rollouts[3]
    assert len(set(first)) == len(set(second)) == 6
    assert first != second
    assert drawn_prompts(names, 3, 1, seed=2) != rollouts[1]


def test_seeds_belong_to_rollout_prompt_and_sample() -> None:
    seeds = sample_seeds(["a", "b"], 2, rollout=0, seed=1)
    assert len({*seeds, *sample_seeds(["a", "b"], 2, rollout=1, seed=1)}) == 8
    assert sample_seeds(["b"], 2, rollout=0, seed=1) == seeds[2:]


def test_prompts_start_with_bos_and_too_long_ones_are_left_out(
    tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    table = prompt_table(3)
    with caplog.at_level(logging.WARNING):
        found = encode_prompts(table, tiny_lm, longest=len("\n\nHuman: xx\n\nAssistant:") + 1)
    assert found.prompt_ids == ["p0", "p1"]
    assert found.token_ids[0][0] == tiny_lm.tokenizer.bos_token_id
    assert tiny_lm.tokenizer.decode(found.token_ids[1][1:]) == "\n\nHuman: xx\n\nAssistant:"
    assert "1 of 3 prompts" in caplog.text
    with pytest.raises(ValueError, match="3 came, and none of them has at most 5 tokens"):
        encode_prompts(table, tiny_lm, longest=5)


def test_batches_are_trimmed_to_few_shapes_and_hold_every_row_once() -> None:
    long = list(range(2, 16))
    episodes = Episodes.of([[1, 2], [1], [1, 2, 3, 4]], [[5], [6, 7, 8], long], 0, torch.device("cpu"))
    assert episodes.lengths.tolist() == [3, 4, 18]
    assert (episodes.input_ids.shape, episodes.mask.shape) == ((3, 24), (3, 16))
    batch = episodes.rows(torch.tensor([0, 1]))
    assert batch["input_ids"].tolist() == [[1, 2, 5, *[0] * 5], [1, 6, 7, 8, *[0] * 4]]
    assert batch["reply_ids"].tolist() == [[5, *[0] * 7], [6, 7, 8, *[0] * 5]]
    assert batch["mask"].tolist() == [[1, *[0] * 7], [1, 1, 1, *[0] * 5]]
    again = Episodes.from_batch(batch)
    assert (again.lengths.tolist(), again.signals) == ([3, 4], {})
    starts = torch.cat([batch["starts"] for batch in episodes.minibatches(2, seed=0)])
    assert sorted(starts.tolist()) == [1, 2, 4]


def test_reading_by_length_puts_every_row_back_where_it_was() -> None:
    prompts = [[1, 2], [1], list(range(2, 10))]
    episodes = Episodes.of(prompts, [[5], [6, 7, 8], [9, 9]], 0, torch.device("cpu"))
    shapes = []

    def reader(input_ids: Tensor, starts: Tensor, reply_ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        shapes.append(tuple(input_ids.shape))
        return reply_ids * mask, mask + starts[:, None]

    ids, starts = episodes.read(reader, 16)
    assert shapes == [(1, 16), (2, 8)]
    assert ids[:, :4].tolist() == [[5, 0, 0, 0], [6, 7, 8, 0], [9, 9, 0, 0]]
    assert starts[:, :4].tolist() == [[3, 2, 2, 2], [2, 2, 2, 1], [9, 9, 8, 8]]
    assert not ids[:, 4:].any()


def test_gradients_do_not_depend_on_how_episodes_are_cut(tiny_lm: LanguageModel) -> None:
    prompts, replies = [[1, 20, 30], [1, 40], [1, 9, 8, 7]], [[50, 60], [70, 80, 1], [5]]
    episodes = Episodes.of(prompts, replies, 0, torch.device("cpu"))
    gradients = []
    for budget in (100, 5):
        model = ActorCritic(tiny_lm.model, 0.1)
        model.zero_grad()
        logprobs, _, _ = episodes.read(partial(model, temperature=1.0, entropy=False), budget)
        (logprobs.sum() / episodes.mask.sum()).backward()
        gradients.append(tiny_lm.model.model.embed_tokens.weight.grad.clone())
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def test_logprobs_values_and_entropy_are_those_of_the_plain_model(tiny_lm: LanguageModel) -> None:
    prompts, replies = [[1, 20, 30], [1, 40]], [[50, 60], [70, 80, 1]]
    batch = Episodes.of(prompts, replies, 0, torch.device("cpu")).rows(torch.tensor([0, 1]))
    logprobs, _, entropy = ActorCritic(tiny_lm.model, 1.0)(**batch, temperature=0.7, entropy=True)
    for row, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        logits = tiny_lm.model(torch.tensor([prompt + reply])).logits[0] / 0.7
        for place, token in enumerate(reply):
            known = logits[len(prompt) - 1 + place].log_softmax(-1)
            assert logprobs[row, place].item() == pytest.approx(known[token].item(), abs=1e-4)
            assert entropy[row, place].item() == pytest.approx(-(known.exp() * known).sum().item(), abs=1e-4)
    assert logprobs[0, 2] == entropy[0, 2] == 0


def test_value_gradient_into_the_trunk_is_scaled(tiny_lm: LanguageModel) -> None:
    batch = Episodes.of([[1, 20]], [[50, 60]], 0, torch.device("cpu")).rows(torch.tensor([0]))
    gradients = []
    for factor in (0.0, 0.5, 1.0):
        model = ActorCritic(tiny_lm.model, factor)
        assert not model(**batch, temperature=1.0, entropy=False)[1].any()
        torch.nn.init.ones_(model.value_head.weight)
        model.zero_grad()
        model(**batch, temperature=1.0, entropy=False)[1].sum().backward()
        weight = tiny_lm.model.model.layers[0].mlp.down_proj.weight
        gradients.append(torch.zeros_like(weight) if weight.grad is None else weight.grad.clone())
    assert gradients[0].abs().max() == 0
    assert torch.allclose(gradients[1] * 2, gradients[2])
    assert gradients[2].abs().max() > 0


# ---- learning


def test_it_learns_what_is_rewarded(tiny_lm: LanguageModel) -> None:
    token = tiny_lm.tokenizer.convert_tokens_to_ids("e")
    params = settings(rollouts=20, prompts_per_rollout=8, samples_per_prompt=4, minibatch_size=16, learning_rate=1e-2)
    result = train(tiny_lm, params, share_of(token))
    score = curve(result, "pm_score")
    assert score[0] < 0.5
    assert sum(score[-3:]) / 3 > score[0] + 1.5
    assert curve(result, "kl")[0] == pytest.approx(0.0, abs=1e-4)
    assert curve(result, "kl")[-1] > 1.0


def test_a_large_kl_coefficient_keeps_the_policy_near_its_start(tiny_lm: LanguageModel) -> None:
    token = tiny_lm.tokenizer.convert_tokens_to_ids("e")
    size = {"rollouts": 10, "prompts_per_rollout": 8, "samples_per_prompt": 8, "minibatch_size": 32}
    far = []
    for lm, kl_coef in zip(copies(tiny_lm, 2), (0.0, 5.0), strict=True):
        params = settings(kl_coef=kl_coef, kl_target=None, learning_rate=1e-3, **size)
        far.append(sum(curve(train(lm, params, share_of(token)), "kl")[-3:]) / 3)
    assert far[0] > 1.0
    assert far[1] < 0.4 * far[0]


def test_the_critic_comes_to_explain_the_returns(tiny_lm: LanguageModel) -> None:
    # a reward that the prompt alone decides, and a policy that stands still: all there is to learn is the value
    def by_prompt(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        return torch.tensor([float(len(prompt)) for prompt in prompts.token_ids])

    params = settings(
        rollouts=10, learning_rate=1e-9, value_learning_rate=3e-2, value_clip_range=10, ppo_epochs=4, max_new_tokens=1,
        kl_coef=0, kl_target=None, missing_eos_penalty=0,
    )  # fmt: skip
    explained = curve(train(tiny_lm, params, by_prompt), "explained_variance")
    assert explained[0] == pytest.approx(0.0, abs=1e-6)
    assert explained[-1] > 0.5


def test_the_kl_coefficient_follows_its_target(tiny_lm: LanguageModel) -> None:
    # the divergence is 0 at the first rollout: the error is clipped at -.2, times 8 replies / 100
    coefficients = curve(train(tiny_lm, settings(rollouts=2)), "kl_coef")
    assert coefficients == pytest.approx([0.05, 0.05 * (1 - 0.2 * 8 / 100)])


def test_a_reply_without_an_end_is_penalised_and_scored_with_one(tiny_lm: LanguageModel) -> None:
    eos = tiny_lm.tokenizer.eos_token_id

    def all_end(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        assert all(reply[-1] == eos and eos not in reply[:-1] for reply in replies)
        return torch.ones(len(replies))

    result = train(tiny_lm, settings(rollouts=1, kl_coef=0, missing_eos_penalty=3.0, center_scores=False), all_end)
    (rate,) = curve(result, "eos_rate")
    assert curve(result, "pm_score") == [1.0]
    assert curve(result, "reward")[0] == pytest.approx(1.0 - 3.0 * (1 - rate), abs=1e-5)


def test_scaled_rewards_do_not_depend_on_the_size_of_scores(tiny_lm: LanguageModel) -> None:
    first, second = copies(tiny_lm, 2)
    params = settings(scale_rewards=True, rollouts=2)
    plain = train(first, params)
    large = train(second, params, lambda prompts, replies: 8 * by_sum(prompts, replies) + 4)
    scale = curve(plain, "reward_scale")
    assert scale[0] > 0
    assert scale[0] == scale[1]  # measured once, on the start policy's replies
    assert curve(large, "reward_scale") == pytest.approx([8 * value for value in scale])
    assert curve(large, "reward") == pytest.approx(curve(plain, "reward"), abs=1e-4)
    assert curve(large, "pm_score") == pytest.approx([8 * value + 4 for value in curve(plain, "pm_score")], abs=1e-3)


def test_a_score_that_is_not_finite_stops_the_run(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="gave 8 of 8 answers a score that is not finite"):
        train(tiny_lm, settings(), lambda prompts, replies: torch.full((len(replies),), float("nan")))


# ---- what comes out


def test_curves_and_snapshots_have_their_shape(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    start = {name: weight.clone() for name, weight in tiny_lm.model.state_dict().items()}
    kernel = tiny_lm.model.config._attn_implementation
    with caplog.at_level(logging.INFO):
        result = train(tiny_lm, settings(rollouts=3, snapshot_every=2))
    assert set(result.curves["metric"]) == {
        "pm_score", "reward", "kl", "kl_coef", "entropy", "approximate_kl", "clip_fraction", "value_clip_fraction",
        "policy_loss", "value_loss", "explained_variance", "response_length", "eos_rate", "reward_scale",
    }  # fmt: skip
    assert sorted(set(result.curves["step"])) == [1, 2, 3]
    assert list(result.snapshots) == [2]
    snapshot, final = result.snapshots[2].model.state_dict(), result.policy.model.state_dict()
    for name in ("model.norm.weight", "model.embed_tokens.weight"):
        assert not torch.equal(snapshot[name], start[name])
        assert not torch.equal(snapshot[name], final[name])
    assert result.policy.model.config._attn_implementation == kernel
    assert result.snapshots[2].model.config.tie_word_embeddings
    assert "PPO: rollout 3/3" in caplog.text


# ---- resuming


def assert_same(left: RLResult, right: RLResult) -> None:
    assert list(left.snapshots) == list(right.snapshots)
    pairs = zip([left.policy, *left.snapshots.values()], [right.policy, *right.snapshots.values()], strict=True)
    for ours, theirs in pairs:
        for name, weight in ours.model.state_dict().items():
            assert torch.equal(weight, theirs.model.state_dict()[name]), name
    pd.testing.assert_frame_equal(left.curves, right.curves, check_exact=True)


def test_two_rollouts_and_two_more_are_four(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    first, second, third = copies(tiny_lm, 3)
    straight = train(first, settings(rollouts=4, scale_rewards=True))
    train(second, settings(rollouts=2, scale_rewards=True), run_dir=tmp_path)
    assert folder(tmp_path).newest("PPO") == tmp_path / "checkpoint-8"
    assert_same(train(third, settings(rollouts=4, scale_rewards=True), run_dir=tmp_path), straight)


def test_a_run_that_is_killed_in_a_rollout_resumes_bit_for_bit(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    first, second, third = copies(tiny_lm, 3)
    straight = train(first, settings(rollouts=4))
    calls = 0

    def fails_at_the_fourth(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return by_sum(prompts, replies)

    with pytest.raises(KeyboardInterrupt):
        train(second, settings(rollouts=4), fails_at_the_fourth, run_dir=tmp_path)
    torch.manual_seed(99)  # nothing may hang on the global generator
    assert_same(train(third, settings(rollouts=4), run_dir=tmp_path), straight)


def test_a_checkpoint_that_was_cut_off_is_passed_over(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    train(tiny_lm, settings(rollouts=1), run_dir=tmp_path)
    whole = tmp_path / "checkpoint-4"
    for name in ("checkpoint-8", "checkpoint-12"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-12" / "trainer_state.json").write_text('{"global_st', encoding="utf-8")
    assert folder(tmp_path).newest("PPO") == whole
    assert folder(tmp_path).newest("PPO", most_steps=3) is None


def test_copies_of_checkpoints_under_other_names_are_left_alone(two_checkpoints: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(two_checkpoints, tmp_path / "run"))
    shutil.copytree(run_dir / "checkpoint-8", run_dir / "checkpoint-8 (copy)")
    assert folder(run_dir).newest("PPO") == run_dir / "checkpoint-8"
    (run_dir / "checkpoint-8" / "manifest.json").write_text("{}")
    assert folder(run_dir).newest("PPO") == run_dir / "checkpoint-4"


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_off, flip_a_bit, Path.unlink])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.pt", "progress.json", "trainer_state.json", "manifest.json", "snapshots"]
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    name: str, damage: Any, two_checkpoints: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_dir = Path(shutil.copytree(two_checkpoints, tmp_path / "run"))
    assert folder(run_dir).newest("PPO") == run_dir / "checkpoint-8"
    damage(run_dir / "snapshots" / "2.safetensors" if name == "snapshots" else run_dir / "checkpoint-8" / name)
    assert folder(run_dir).newest("PPO") == run_dir / "checkpoint-4"
    assert len(caplog.messages) == 1
    assert re.search(r"PPO passes over .*checkpoint-8: .*(missing|damaged|cannot be read|no manifest)", caplog.text)


@pytest.fixture(scope="module")
def two_checkpoints(_tiny_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("two_checkpoints")
    train(copies(_tiny_lm, 1)[0], settings(rollouts=2), run_dir=run_dir)
    return run_dir


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    tiny_lm: LanguageModel, two_checkpoints: Path, tmp_path: Path
) -> None:
    first, second = copies(tiny_lm, 2)
    straight = train(first, settings(rollouts=3))
    run_dir = Path(shutil.copytree(two_checkpoints, tmp_path / "run"))
    flip_a_bit(run_dir / "checkpoint-8" / "model.safetensors")
    assert_same(train(second, settings(rollouts=3), run_dir=run_dir), straight)
    assert folder(run_dir).newest("PPO") == run_dir / "checkpoint-12"


# ---- parameters


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clip": 0.2}, "clip"),
        ({"gamma": 1.5}, "gamma"),
        ({"kl_target": 0.0}, "kl_target"),
        (
            {"beta": 0.1},
            r"'beta' is not among the parameters of ppo, rlhf\.rl\.ppo \(device, .*, gamma, .*\); take it away",
        ),
        ({"minibatch_size": 9}, "minibatch_size=9 is larger than a rollout of 8 replies"),
    ],
)
def test_wrong_parameters_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changed)


@pytest.mark.parametrize(
    ("algorithm", "changed", "message"),
    [
        ("rloo", {"samples_per_prompt": 1, "minibatch_size": 4}, "rloo .* needs samples_per_prompt >= 2"),
        ("grpo", {"minibatch_size": 3}, "grpo .* minibatch_size to divide 8"),
        ("grpo", {"vf_coef": 0.5}, "'vf_coef' is not among the parameters of grpo"),
    ],
)
def test_what_trls_trainers_cannot_take_is_refused(algorithm: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(algorithm, **changed)
