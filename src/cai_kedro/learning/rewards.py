"""From a preference model's scores to rewards: centred, in units of their spread, less where no end is (§4.2).

A preference model fixes neither the zero nor, across models, the size of its scores; a KL coefficient means the same
for all of them only when it is weighed against a unit that they share.
"""

from dataclasses import dataclass

from torch import Tensor

from cai_kedro.learning.rl_params import RLParams


@dataclass(frozen=True)
class ScoreUnits:
    """Where a run's scores have their zero and how large one unit is, both in the preference model's log-odds units."""

    centre: float
    scale: float

    @classmethod
    def of(cls, scores: Tensor, params: RLParams) -> "ScoreUnits":
        """Measure both on the scores (n,) of the start policy's replies: mean and population standard deviation.

        Each stays neutral if the parameters do not ask for it, the scale also where all scores are equal.
        """
        spread = scores.double().std(correction=0).item() if params.scale_rewards else 0.0
        return cls(centre=scores.double().mean().item() if params.center_scores else 0.0, scale=spread or 1.0)


def reply_rewards(scores: Tensor, ended: Tensor, units: ScoreUnits, missing_eos_penalty: float) -> Tensor:
    """Return (score - centre) / scale of each reply, less the penalty where it does not end by itself: (n,)."""
    return (scores - units.centre) / units.scale - missing_eos_penalty * (~ended).to(scores.dtype)
