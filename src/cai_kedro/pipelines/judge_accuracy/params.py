"""What the measurement is told; every value stands in `parameters_judge_accuracy.yml`."""

from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.worked_examples import ComparisonShots, CotShots
from cai_kedro.engines.base import Sampling


class CotParams(BaseModel):
    """Chains of thought: how many per item and option order, and which items are left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(ge=1)
    few_shots: CotShots
    leave_out: tuple[str, ...] = Field(description="items that are worked examples elsewhere, by item_id")
    sampling: Sampling


class JudgeAccuracyParams(BaseModel):
    """The whole measurement. `comparisons`, `judge` and `preference_model` are read by the catalog."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comparisons: str
    judge: str
    preference_model: str
    question: str = Field(min_length=1, description="asked where the file has no question")
    both_orders: bool
    few_shots: ComparisonShots
    items: int | None = Field(ge=1, description="at most so many items, chosen by their hash; null for all")
    cot: CotParams
    batch_size: int = Field(ge=1, description="answers that the preference model scores at once")
