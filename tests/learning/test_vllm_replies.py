"""A policy whose replies vLLM draws learns what it learns from its own: each rollout has the weights of the moment."""

import copy
import importlib
import inspect
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from cai_kedro.core.layouts.hh import HH
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.model_reference import load_model, save_model
from cai_kedro.engines.vllm_engine import VLLMSettings
from cai_kedro.engines.vllm_policy import RANKS, VLLMPolicy
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.rl import Data, RLResult, train
from cai_kedro.learning.snapshots import snapshot_signals
from cai_kedro.models.adapters import prepared, trained
from tests.adapters import LORA, WHOLE
from tests.learning.rl.test_ppo import prompt_table, settings, settings_of
from tests.models.test_adapters import changed
from tests.vllm_stand_in import LLM, vllm_stand_in

__all__ = ["vllm_stand_in"]
VLLM = VLLMSettings(kind="vllm", dtype="float32", gpu_memory_utilization=0.3, max_model_len=200)


def learnt(tiny_lm: LanguageModel, params: Any, change: Any) -> RLResult:
    lm = prepared(copy.deepcopy(tiny_lm), change, 0)
    scorer = LanguageModel(with_score_head(copy.deepcopy(tiny_lm), 0.5, 1), tiny_lm.tokenizer)
    return train(lm, Data(prompts=prompt_table(), preference_model=scorer), params, 0)


@pytest.mark.parametrize("change", [WHOLE, LORA], ids=["whole", "lora"])
def test_ppo_learns_what_it_learns_from_its_own_replies(
    tiny_lm: LanguageModel, vllm_stand_in: type[LLM], change: Any
) -> None:
    own = learnt(tiny_lm, settings(), change)
    drawn = learnt(tiny_lm, settings(sampler=VLLM), change)
    pd.testing.assert_frame_equal(drawn.curves, own.curves, atol=1e-3, rtol=1e-3)
    (llm,) = vllm_stand_in.made
    assert not llm.awake
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    adapted = change is LORA
    assert len(llm.reloads) == (0 if adapted else 3)
    assert [request and request.lora_int_id for request in llm.requests] == ([1, 2, 3] if adapted else [None] * 3)
    assert (llm.settings.get("enable_lora"), llm.settings.get("max_lora_rank")) == (
        (True, 8) if adapted else (None,) * 2
    )
    assert {name: llm.settings[name] for name in ("dtype", "gpu_memory_utilization", "max_model_len")} == {
        "dtype": "float32", "gpu_memory_utilization": 0.3, "max_model_len": 200,
    }  # fmt: skip


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_trl_learns_from_what_vllm_draws(tiny_lm: LanguageModel, vllm_stand_in: type[LLM], algorithm: str) -> None:
    params = settings_of(algorithm, sampler=VLLM)
    first, again = (learnt(tiny_lm, params, WHOLE) for _ in range(2))
    pd.testing.assert_frame_equal(first.curves, again.curves)
    llm = vllm_stand_in.made[-1]
    assert len(llm.reloads) == len(llm.requests) == params.rollouts
    # what it had last are the weights behind the last but one rollout, not those at the end
    last = first.policy.model.state_dict()["model.embed_tokens.weight"]
    drawn_with = llm.model.state_dict()["model.embed_tokens.weight"]
    start = tiny_lm.model.state_dict()["model.embed_tokens.weight"]
    assert not torch.equal(drawn_with, start)
    assert not torch.equal(drawn_with, last)


def test_snapshots_answer_by_vllm(tiny_lm: LanguageModel, vllm_stand_in: type[LLM], tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    save_model(trained(changed(prepared(load_model(tmp_path / "base"), LORA, 0))), tmp_path / "a")
    own, drawn = (
        snapshot_signals(
            load_model(tmp_path / "base"), {1: load_model(tmp_path / "a")}, None, prompt_table(), params, 0
        )
        for params in (settings(), settings(sampler=VLLM))
    )
    pd.testing.assert_frame_equal(drawn, own, atol=1e-3, rtol=1e-3)
    assert len(vllm_stand_in.made) == 1


def test_what_cannot_be_sampled_is_told(tiny_lm: LanguageModel, vllm_stand_in: type[LLM], tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    with pytest.raises(ValueError, match="at most rank 512, got 513"):
        VLLMPolicy(tmp_path / "base", VLLM, 513)
    policy = VLLMPolicy(tmp_path / "base", VLLM, None)
    with pytest.raises(ValueError, match=r"a prompt has 199 tokens and its reply up to 6.*max_model_len is 200"):
        policy.sample(tmp_path, [[5] * 199], [0], temperature=1.0, max_new_tokens=6, stop=HH.stops(()), eos=[1])
    short = VLLM.model_copy(update={"max_model_len": 7})
    with pytest.raises(ValueError, match="none of them has at most 1 tokens"):
        learnt(tiny_lm, settings(sampler=short), WHOLE)
    with pytest.raises(ValueError, match="vLLM samples in one process"):
        train(
            tiny_lm, Data(prompts=prompt_table(), preference_model=tiny_lm), settings(sampler=VLLM), 0,
            Processes(processes=2, sharding="none"),
        )  # fmt: skip


def test_the_real_vllm_takes_what_it_is_given() -> None:
    """The names of arguments, where vLLM is installed; none of this was run on a GPU."""
    vllm = pytest.importorskip("vllm", reason="vLLM is not installed")
    request = importlib.import_module("vllm.lora.request").LoRARequest
    assert request("policy-1", 1, "/adapter").path == "/adapter"
    given = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 4, "seed": 3, "stop": ["\n\n"], "stop_token_ids": [1]}
    params = vllm.SamplingParams(**given)
    assert {name: getattr(params, name) for name in given} == given
    engine = importlib.import_module("vllm.engine.arg_utils").EngineArgs
    names = set(inspect.signature(engine).parameters)
    assert {"enable_lora", "max_loras", "max_lora_rank", "enable_sleep_mode", "enable_prefix_caching"} <= names
    assert {"use_tqdm", "lora_request"} <= set(inspect.signature(vllm.LLM.generate).parameters)
    assert {"method", "kwargs"} <= set(inspect.signature(vllm.LLM.collective_rpc).parameters)
    assert importlib.import_module("vllm.config.lora").MaxLoRARanks.__args__ == RANKS
