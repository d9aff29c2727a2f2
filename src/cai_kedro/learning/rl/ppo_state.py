"""What PPO remembers from rollout to rollout."""

from dataclasses import asdict, dataclass, field
from typing import Any

from cai_kedro.learning.rewards import ScoreUnits


@dataclass
class PPOState:
    """What PPO knows beside weights and optimiser: KL coefficient, units of the rewards and the curves so far."""

    kl_coef: float
    units: ScoreUnits | None = None
    curve_rows: list[tuple[int, str, float]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON takes it, which keeps every float exactly."""
        return asdict(self)

    @classmethod
    def of(cls, content: dict[str, Any]) -> "PPOState":
        """Take back what `as_json` gave."""
        rows = [tuple(row) for row in content["curve_rows"]]
        units = content["units"] and ScoreUnits(**content["units"])
        return cls(content["kl_coef"], units, rows)
