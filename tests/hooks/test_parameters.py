import re
from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.hooks.parameters import faults, flatten, is_secret, loggable, shortened


class RL(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kl_coef: float = Field(ge=0)
    rollouts: int


def _train(rl: RL, seed: int, clamp: tuple[float, float]) -> int:
    return seed


PIPELINE = Pipeline(
    [Node(_train, {"seed": "params:seed", "rl": "params:rlhf.rl", "clamp": "params:labels.clamp"}, "out")]
)
GOOD: dict[str, Any] = {
    "seed": 0,
    "rlhf": {"rl": {"kl_coef": 0.1, "rollouts": 30}},
    "labels": {"clamp": [0.4, 0.6]},
    "threads": None,
}


def test_flatten_gives_one_entry_per_leaf() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "rl": RL(kl_coef=0.1, rollouts=3), "l": [1, 2]}) == {
        "a.b": 1,
        "a.c": {},
        "rl.kl_coef": 0.1,
        "rl.rollouts": 3,
        "l": [1, 2],
    }


@pytest.mark.parametrize(
    ("path", "value", "secret"),
    [
        ("token", "abc", True),
        ("token", 12345, True),
        ("hub.HF_TOKEN", "abc", True),
        ("api_key", "abc", True),
        ("judge.apikey", "abc", True),
        ("db.password1", "abc", True),
        ("client-secret", "abc", True),
        ("credentials.user", "me", True),
        ("hftoken", "abc", True),
        ("max_new_tokens", 64, False),
        ("max_batch_tokens", 16384, False),
        ("tokenizer", "bpe", False),
        ("seed", 0, False),
    ],
)
def test_secrets_are_told_by_their_name(path: str, value: Any, secret: bool) -> None:
    assert is_secret(path, value) is secret


def test_what_is_logged_has_valid_names_short_values_and_no_secrets() -> None:
    logged = loggable({"a@b": 1, "token": "abc", "long": "é" * 501, "none": None})
    assert logged["a_b"] == "1"
    assert logged["none"] == "None"
    assert "token" not in logged
    assert len(logged["long"]) < 500


def test_a_cut_value_is_told_apart_by_its_digest() -> None:
    assert shortened("x" * 500) == "x" * 500
    assert shortened("x" * 501) != shortened("x" * 500 + "y")


def test_good_parameters_have_no_fault() -> None:
    assert list(faults(GOOD, [PIPELINE], [PIPELINE])) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": "three"}, "parameter 'seed': input should be a valid integer, got 'three'"),
        ({"seed": "3"}, "parameter 'seed': input should be a valid integer, got '3'"),
        (
            {"rlhf": {"rl": {"kl_coef": -1, "rollouts": 3}}},
            "'rlhf.rl.kl_coef': .* greater than or equal to 0, got '-1'",
        ),
        ({"rlhf": {"rl": {"kl_coef": 0.1}}}, "parameter 'rlhf.rl.rollouts' is missing; add it to conf"),
        (
            {"rlhf": {"rl": {"kl_coef": 0.1, "rollouts": 3, "kl_coeff": 1}}},
            "parameter 'rlhf.rl.kl_coeff' is unknown; did you mean 'kl_coef'?",
        ),
        ({"labels": {"clamp": [0.4]}}, "parameter 'labels.clamp.1' is missing"),
        ({"labels": {"clmp": [0.4, 0.6]}}, "parameter 'labels.clamp' is missing; did you mean 'labels.clmp'?"),
        ({"sede": 3}, "parameter 'sede' is unknown: no pipeline reads it; did you mean 'seed'?"),
        ({"modell": "m"}, "parameter 'modell' is unknown: no pipeline reads it; did you mean 'model'?"),
        ({"rlfh.rl": 3}, "parameter 'rlfh.rl' is unknown: .* did you mean 'rlhf.rl'?"),
    ],
)
def test_faults_say_what_where_and_what_to_do(change: dict[str, Any], told: str) -> None:
    assert re.search(told.replace("?", r"\?"), "\n".join(faults({**GOOD, **change}, [PIPELINE], [PIPELINE])))


def test_keys_of_other_pipelines_are_known_but_not_checked() -> None:
    bad = {**GOOD, "seed": "three"}
    assert list(faults(bad, [], [PIPELINE])) == []
