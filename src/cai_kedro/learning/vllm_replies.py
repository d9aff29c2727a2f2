"""Replies of a policy in training that vLLM draws (`sampler` of an algorithm); who learns computes their probabilities.

vLLM gets the weights of the moment with each call, as files: the adapter where one is trained, else the whole model.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedModel

from cai_kedro.core.asks import Reply
from cai_kedro.engines.adapter_files import write_weights
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.vllm_engine import VLLMSettings
from cai_kedro.engines.vllm_policy import VLLMPolicy
from cai_kedro.learning.replies import Replies, ReplyReader
from cai_kedro.learning.rl_params import AlgorithmParams
from cai_kedro.models.adapters import backbone_alone, is_injected, with_adapter_weights
from cai_kedro.models.weights import trained_weights


@contextmanager
def reply_reader(lm: LanguageModel, params: AlgorithmParams) -> Iterator[ReplyReader]:
    """Lend who draws and reads the replies of a policy: the policy itself, or vLLM where the parameters say so.

    Raises `ModuleNotFoundError` where vLLM is not installed.
    """
    if params.sampler is None:
        yield ReplyReader(lm)
        return
    with tempfile.TemporaryDirectory() as folder:
        reader = VLLMReplies(lm, params.sampler, Path(folder))
        try:
            yield reader
        finally:
            reader.close()


class VLLMReplies(ReplyReader):
    """Draws replies by vLLM with the weights that the policy has at that moment."""

    def __init__(self, lm: LanguageModel, settings: VLLMSettings, folder: Path) -> None:
        """Start vLLM on the policy as it comes; its files lie in the folder."""
        super().__init__(lm)
        self._lm, self._dtype = lm, getattr(torch, settings.dtype)
        self._folder = folder
        with backbone_alone(lm):
            save_language_model(lm, folder / "start")
        rank = lm.adapter.rank if lm.adapter is not None and is_injected(lm.model) else None
        self._vllm = VLLMPolicy(folder / "start", settings, rank)

    def sample(
        self, policy: PreTrainedModel, prompts: Sequence[list[int]], seeds: Sequence[int], params: AlgorithmParams
    ) -> Replies:
        """Draw one reply to each prompt (the conversation up to where the assistant speaks)."""
        weights = self._folder / "weights"
        self._write(policy, weights)
        written = self._vllm.sample(
            weights,
            prompts,
            seeds,
            temperature=params.temperature,
            max_new_tokens=params.max_new_tokens,
            stop=self._lm.layout.stops(Reply(())),
            eos=self.eos,
        )
        shutil.rmtree(weights)
        return self.read(written)

    def _write(self, policy: PreTrainedModel, weights: Path) -> None:
        """Write what of the policy was trained."""
        if is_injected(policy):
            adapter = with_adapter_weights(self._lm, trained_weights(policy)).adapter
            assert adapter is not None
            write_weights(policy, adapter, weights)
        else:
            held = policy.state_dict()
            policy.save_pretrained(
                weights, state_dict={name: each.detach().to("cpu", self._dtype) for name, each in held.items()}
            )

    def close(self) -> None:
        """Give the GPU back."""
        self._vllm.close()
