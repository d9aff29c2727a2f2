"""How answers under rules are drawn and checked."""

from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.engines.base import Sampling


class SelfAlignmentParams(BaseModel):
    """Which questions are answered, under which rules, and which answers are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: int | None = Field(ge=1, description="at most so many; null for all")
    rules: tuple[str, ...] | None = Field(min_length=1, description="names, in the order of the prompt; null for all")
    examples: int = Field(ge=0, description="worked examples between the rules and the question")
    thoughts: Sampling
    answers: Sampling
    must_name_a_rule: bool = Field(description="false: thoughts that name none are answered, too")
    repeated_words: int = Field(ge=1, description="a clause of so many words that is said again ends the answer")
    max_likeness: float = Field(ge=0, le=100, description="to the answer of a worked example, above it is a leak")
