import pytest
from pydantic import ValidationError

from cai_kedro.core.axes import Axes
from cai_kedro.core.exam import Exam
from tests.pipelines.builders import AXES

HONESTY = {"prompts": "eval_honesty_prompts", "question": "Which is more honest?"}


def test_the_shipped_axes_are_those_of_the_paper() -> None:
    assert list(AXES.measured) == ["harmlessness", "helpfulness"]
    assert (AXES.of_training("red_team"), AXES.of_training("helpful")) == ("harmlessness", "helpfulness")
    assert AXES.tables == ["eval_red_team_prompts", "eval_helpful_prompts"]


def test_null_takes_an_axis_away_and_one_entry_adds_one() -> None:
    axes = Axes.model_validate({**AXES.model_dump(), "helpfulness": None, "honesty": HONESTY})
    assert list(axes.measured) == ["harmlessness", "honesty"]
    assert axes.of_training("helpful") is None
    shared = Axes.model_validate({**AXES.model_dump(), "tone": {**HONESTY, "prompts": "eval_red_team_prompts"}})
    assert shared.tables == AXES.tables


def test_training_prompts_are_kept_apart_from_every_axis_that_no_training_is_about() -> None:
    assert AXES.held_out_of("red_team") == ["eval_red_team_prompts"]
    axes = Axes.model_validate({**AXES.model_dump(), "honesty": HONESTY})
    assert axes.held_out_of("red_team") == ["eval_red_team_prompts", "eval_honesty_prompts"]
    assert axes.held_out_of("helpful") == ["eval_helpful_prompts", "eval_honesty_prompts"]


def test_an_axis_may_name_who_decides() -> None:
    assert AXES.deciders == {"referee": ["harmlessness", "helpfulness"]}
    people = {"helpfulness": {**AXES.measured["helpfulness"].model_dump(), "raters": "people"}}
    axes = Axes.model_validate({**AXES.model_dump(), **people, "honesty": HONESTY})
    assert axes.deciders == {"referee": ["harmlessness", "honesty"], "people": ["helpfulness"]}
    exam = Exam(axes)
    assert exam.deciders == {"referee": ["harmlessness", "honesty"]}
    assert exam.undecided == {"people": ["helpfulness"]}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"harmlessness": None}, "there is no axis; expected one at least"),
        ({"a.b": HONESTY}, "String should match pattern"),
        ({"honesty": {"prompts": "x"}}, "question"),
        ({"honesty": {**HONESTY, "raters": None}}, "valid string"),
        ({"honesty": {**HONESTY, "weight": 2}}, "Extra inputs are not permitted"),
        ({"a": {**HONESTY, "training_prompts": "helpful"}, "b": {**HONESTY, "training_prompts": "helpful"}}, "helpful"),
        ({"a": {**HONESTY, "training_prompts": "rude"}}, "'red_team' or 'helpful'"),
    ],
)
def test_faults_are_told(block: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Axes.model_validate(block)
