"""What many tests share: a tiny random causal LM with a byte-level tokenizer, a scripted engine, one finished run."""

import copy
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cai_kedro.core.asks import Ask
from cai_kedro.core.conversation import HH_CHAT_TEMPLATE
from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.hh import HH
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.language_model import LanguageModel
from tests.project_copy import copy_project, kedro_run


@pytest.fixture(autouse=True)
def _level_of_the_log() -> Iterator[None]:
    """A command that ran in the process of the tests may have left the log quieter, and a later test reads the log."""
    log = logging.getLogger("cai_kedro")
    level = log.level
    yield
    log.setLevel(level)


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(["<pad>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<eos>",
        chat_template=HH_CHAT_TEMPLATE,
    )


def tiny_model() -> LanguageModel:
    """Return a tiny random Llama with a byte-level tokenizer."""
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        initializer_range=0.3,  # far from uniform, so that likelihoods differ and tests can fail
    )
    return LanguageModel(model=LlamaForCausalLM(config).eval(), tokenizer=tokenizer)


@pytest.fixture(scope="session")
def _tiny_lm() -> LanguageModel:
    return tiny_model()


@pytest.fixture
def tiny_lm(_tiny_lm: LanguageModel) -> LanguageModel:
    """A tiny random Llama with a byte-level tokenizer; a fresh copy, so a test may change both."""
    return LanguageModel(model=copy.deepcopy(_tiny_lm.model), tokenizer=copy.deepcopy(_tiny_lm.tokenizer))


class ScriptedEngine:
    """An engine whose answers a test decides: `reply(prompt, seed)` and `prefer(prompt) -> log-probabilities`.

    It is asked in the Human/Assistant layout; `prompts` are the texts.
    """

    fingerprint = "scripted"
    layout: Layout = HH

    def __init__(
        self,
        reply: Callable[[str, int], str] = lambda prompt, seed: f"reply {seed % 997}",
        prefer: Callable[[str], Sequence[float]] = lambda prompt: (-0.5, -1.5),
    ) -> None:
        self.reply = reply
        self.prefer = prefer
        self.prompts: list[str] = []

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        prompts = [self.layout.prompt(ask).text for ask in asks]
        self.prompts.extend(prompts)
        return [Completion(self.reply(p, s), "stop") for p, s in zip(prompts, seeds, strict=True)]

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        prompts = [self.layout.prompt(ask).text for ask in asks]
        self.prompts.extend(prompts)
        scores = np.array([self.prefer(p) for p in prompts], dtype=float)
        # scores above 0 are no log-probabilities: a test that gives some means what a softmax makes of them
        above = (scores > 0).any(axis=-1)
        scores[above] -= np.logaddexp.reduce(scores[above], axis=-1, keepdims=True)
        return scores


@pytest.fixture
def scripted_engine() -> type[ScriptedEngine]:
    """The class, so that a test can script several engines."""
    return ScriptedEngine


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder in which `kedro run --env=smoke` has run once, its terminal output in `terminal.txt`.

    Read only: a test that runs something in it takes a copy. With `pytest -n` the first process that needs the run
    makes it, and the others wait for it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all processes of this session, and of no other session
    project, finished = folder / "finished_run", folder / "finished_run.done"
    with (folder / "finished_run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(project, ignore_errors=True)  # of a process that failed at it
            _run_smoke(project)
            finished.touch()
    return project


def _run_smoke(project: Path) -> None:
    done = kedro_run(copy_project(project), "--env=smoke")
    (project / "terminal.txt").write_text(done.stdout)
    assert done.returncode == 0, f"the whole run failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
