"""A policy in training on vLLM, in this process (extra `gpu`): it samples, each time with the weights it is given.

Not run on a GPU yet: written against the code of vLLM 0.32, and tested with a stand-in for the part of it that is used.
"""

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cai_kedro.engines.vllm_engine import VLLMSettings, load_vllm

#: What vLLM makes room for (`vllm.config.lora.MaxLoRARanks` of 0.32).
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class VLLMPolicy:
    """Samples by vLLM from a model directory, with the whole weights or the adapter that it was given last.

    Asleep, which is how it begins and what it is between two rollouts, it leaves the GPU to the training: its weights
    lie in the machine's memory, and what it kept of prompts is forgotten.
    """

    def __init__(self, directory: Path, settings: VLLMSettings, rank: int | None) -> None:
        """Load a whole model; `rank` is that of the adapters to come, None where whole weights will come.

        Raises `ModuleNotFoundError` without the extra `gpu`, `ValueError` for a rank that vLLM has no room for.
        """
        if rank is not None and rank > RANKS[-1]:
            raise ValueError(f"vLLM reads adapters of at most rank {RANKS[-1]}, got {rank}; lower training.lora.rank")
        import vllm  # noqa: PLC0415 - an extra that not every run needs
        from vllm.lora.request import LoRARequest  # noqa: PLC0415

        self._vllm, self._request = vllm, LoRARequest
        room = {} if rank is None else {
            "enable_lora": True,
            "max_loras": 1,
            "max_lora_rank": next(each for each in RANKS if each >= rank),
        }  # fmt: skip
        # in a process of its own it would start by importing the main module of the run once more
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        self._llm = load_vllm(directory, settings, enable_sleep_mode=True, **room)
        self._limit = settings.max_model_len
        self._adapters = 0
        self._adapter: Any = None
        self._llm.sleep(level=1)

    def sample(
        self,
        weights: Path,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        *,
        temperature: float,
        max_new_tokens: int,
        stop: Sequence[str],
        eos: Sequence[int],
    ) -> list[list[int]]:
        """Draw a reply to each prompt by its seed, EOS included, with the weights or the adapter in a directory.

        A reply ends on one of `eos`, with the token that completes a stop string, or at the limit. Raises `ValueError`
        for a prompt that leaves no room for a reply.
        """
        longest = max(map(len, prompts), default=0)
        if longest + max_new_tokens > self._limit:
            raise ValueError(
                f"a prompt has {longest} tokens and its reply up to {max_new_tokens}, and the sampler's max_model_len "
                f"is {self._limit}: raise it, or lower max_new_tokens"
            )
        self._llm.wake_up()
        self._take(weights)
        params = [
            self._vllm.SamplingParams(
                temperature=temperature,
                top_p=1.0,
                max_tokens=max_new_tokens,
                seed=seed,
                stop=list(stop),
                stop_token_ids=list(eos),
            )
            for seed in seeds
        ]
        asked = [self._vllm.TokensPrompt(prompt_token_ids=list(row)) for row in prompts]
        outputs = self._llm.generate(asked, params, use_tqdm=False, lora_request=self._adapter)
        self._llm.sleep(level=1)
        return [list(output.outputs[0].token_ids) for output in outputs]

    def _take(self, weights: Path) -> None:
        if (weights / "adapter_config.json").is_file():
            # another name each time, by which it tells prompts apart that it keeps
            self._adapters += 1
            self._adapter = self._request(f"policy-{self._adapters}", self._adapters, str(weights))
        else:
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(weights)})
            self._llm.reset_prefix_cache()

    def close(self) -> None:
        """Give the GPU back."""
        del self._llm
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
