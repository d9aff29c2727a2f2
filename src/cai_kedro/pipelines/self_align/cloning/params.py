"""How stage 4 samples and learns."""

from pydantic import Field

from cai_kedro.engines.base import Sampling
from cai_kedro.pipelines.self_align.training import StageTrainingParams


class CloningParams(StageTrainingParams):
    """The verbose prompt of the teacher, the two prompts of the student, and the training."""

    questions: int | None = Field(ge=1, description="at most so many are answered; null for all")
    verbose_prompt: str = Field(min_length=1, description="in front of what the engraved model answers")
    standard_prompt: str = Field(min_length=1, description="a system turn in front of half of what is learnt from")
    sampling: Sampling
    repeated_words: int = Field(ge=1, description="a clause of so many words that is said again ends the answer")
