"""From scores to rewards: centred, in units of their spread, less where no end is (§4.2).

A preference model fixes neither the zero nor, across models, the size of its scores; a KL coefficient means the same
for all of them only when it is weighed against a unit that they share.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_token_ids
from cai_kedro.learning.replies import ReplyReader
from cai_kedro.learning.rl_params import RolloutParams, TextReward
from cai_kedro.learning.rollouts import EncodedPrompts
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for
from cai_kedro.models.shared_backbone import on_backbone_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreUnits:
    """Where a run's scores have their zero and how large one unit is, both in the scorer's log-odds units."""

    centre: float
    scale: float

    @classmethod
    def of(cls, scores: Tensor, params: RolloutParams) -> "ScoreUnits":
        """Measure both on the scores (n,) of the start policy's replies: mean and population standard deviation.

        Each stays neutral if the parameters do not ask for it, the scale also where all scores are equal.
        """
        spread = scores.double().std(correction=0).item() if params.scale_rewards else 0.0
        return cls(centre=scores.double().mean().item() if params.center_scores else 0.0, scale=spread or 1.0)


def reply_rewards(scores: Tensor, ended: Tensor, units: ScoreUnits, missing_eos_penalty: float) -> Tensor:
    """Return (score - centre) / scale of each reply, less the penalty where it does not end by itself: (n,)."""
    return (scores - units.centre) / units.scale - missing_eos_penalty * (~ended).to(scores.dtype)


@dataclass(frozen=True)
class Scorer:
    """Scores replies: `score(prompts, replies) -> (n,)` on the token ids of n replies; every reply ends on EOS.

    `metric` and `label` are what the score is called in curves and in the log, `who` is who gives it.
    """

    metric: str
    label: str
    who: str
    score: Callable[[EncodedPrompts, Sequence[list[int]]], Tensor]


def text_scorer(reward: TextReward, policy: LanguageModel) -> Scorer:
    """Return a scorer that has the labeller read a policy's replies as people read them."""
    reader = ReplyReader(policy)

    def score(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        # the labeller computes in its own precision, as it does for labels
        with torch.autocast(policy.model.device.type, enabled=False):
            return torch.as_tensor(reward.score(prompts.prompt_ids, reader.texts(list(replies))))

    return Scorer("judge_score", "labeller's score", "the labeller", score)


@contextmanager
def pm_on_loan(policy: LanguageModel, preference_model: LanguageModel, params: RolloutParams) -> Iterator[Scorer]:
    """Lend a preference model to a training, on the policy's backbone where both were trained as adapters on one."""
    borrowed = on_backbone_of(policy, preference_model)
    if borrowed is not None:
        logger.info("%s: policy and preference model are read on one backbone", params.algorithm.upper())
        yield _scorer(borrowed.lent, preference_model.tokenizer.pad_token_id, params.max_batch_tokens)
        return
    with on_loan(preference_model.model, attention_for(params.device)):
        preference_model.model.to(torch.device(params.device))  # type: ignore[arg-type]
        yield pm_scorer(preference_model, params.max_batch_tokens)


def pm_scorer(preference_model: LanguageModel, max_batch_tokens: int) -> Scorer:
    """Return a scorer that has the PM read exactly the token ids the policy wrote: prompt, reply, EOS."""
    return _scorer(
        lambda: nullcontext(preference_model.model), preference_model.tokenizer.pad_token_id, max_batch_tokens
    )


def _scorer(lent: Callable[[], AbstractContextManager[PreTrainedModel]], pad: int, max_batch_tokens: int) -> Scorer:
    def score(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        sequences = [prompt + reply for prompt, reply in zip(prompts.token_ids, replies, strict=True)]
        batch_size = max(1, max_batch_tokens // max(map(len, sequences)))
        with lent() as model:
            return torch.as_tensor(score_token_ids(model, sequences, pad, batch_size))

    return Scorer("pm_score", "PM score", "the preference model", score)
