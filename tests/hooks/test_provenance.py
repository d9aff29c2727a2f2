"""The command that made a run, as its record and the model card show it."""

from typing import Any

import pytest

from cai_kedro.hooks.provenance import command


@pytest.mark.parametrize(
    ("run_params", "typed"),
    [
        ({"pipeline_names": ["sl_cai", "rl_cai"], "env": "smoke"}, "kedro run --pipelines=sl_cai,rl_cai --env=smoke"),
        (
            {"env": "hub", "runtime_params": {"model": "models/mine", "rlhf": {"rl": {"kl_coef": 0.1}}, "seed": None}},
            "kedro run --env=hub --params=model=models/mine,rlhf.rl.kl_coef=0.1,seed=null",
        ),
        (
            {"runtime_params": {"check_labeller": {"insist": True}, "model": "my models/a"}},
            "kedro run '--params=check_labeller.insist=true,model=my models/a'",
        ),
        ({"runtime_params": {"hub": {"token": "abc"}}}, "kedro run '--params=hub.token=<secret>'"),
    ],
)
def test_the_command_is_what_was_typed_but_for_secrets(run_params: dict[str, Any], typed: str) -> None:
    assert command(run_params) == typed
