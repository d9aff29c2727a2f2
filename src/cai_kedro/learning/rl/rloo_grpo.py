"""TRL's RLOO and GRPO on the same scores and prompts as our PPO, for comparison."""

from typing import ClassVar, Self

from pydantic import model_validator

from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.rl.online import one_rollout, training_on_replies
from cai_kedro.learning.rl_params import Data, RLResult, RolloutParams


class TRLParams(RolloutParams):
    """One of TRL's trainers: no value head and a fixed KL coefficient.

    It compares the replies to one prompt, so there have to be two at least, and cuts a rollout in equal parts. TRL
    loads the start policy anew from files, which it could not do of layers that hold an adapter.
    """

    trains_adapters: ClassVar[bool] = False

    def train(self, start: LanguageModel, data: Data, seed: int, processes: Processes) -> RLResult:
        """Train against who scores replies by TRL, from the newest checkpoint of this very run if there is one."""
        # imported here: most runs train by another algorithm, and TRL's trainers take a second each
        from cai_kedro.learning.rl.trl_trainers import train_with_trl  # noqa: PLC0415

        seed = derive_seed(seed, "reinforcement learning")
        with training_on_replies(start, data, self, seed) as (encoded, score, folder):
            return train_with_trl(start, score, encoded, self, seed, folder)

    def small(self, rows: int) -> Self:
        """Return the parameters of one rollout of at most so many prompts, in minibatches of equal size."""
        return self.model_copy(update=one_rollout(self, rows))

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if self.samples_per_prompt < 2 or self.episodes % self.minibatch_size:  # noqa: PLR2004
            raise ValueError(
                f"{self.algorithm} compares the replies to one prompt and cuts a rollout in equal parts: it "
                f"needs samples_per_prompt >= 2 and minibatch_size to divide {self.episodes}, got "
                f"samples_per_prompt={self.samples_per_prompt}, minibatch_size={self.minibatch_size}"
            )
        return self


class RLOOParams(TRLParams):
    """REINFORCE with the other replies to the prompt as baseline, by TRL."""

    algorithm: ClassVar[str] = "rloo"


class GRPOParams(TRLParams):
    """Group relative policy optimisation, by TRL."""

    algorithm: ClassVar[str] = "grpo"
