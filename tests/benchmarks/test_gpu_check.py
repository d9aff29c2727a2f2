"""The check of a GPU machine, rehearsed on the CPU: its steps run, and a stopped one keeps its figures."""

import json
from pathlib import Path

import pytest
from benchmarks.gpu_steps import REHEARSAL, STEPS

from benchmarks import gpu_check, gpu_steps

#: A whole `kedro run` is tested elsewhere, and vLLM is not there.
SHORT = [name for name in STEPS if name.endswith("_1b") and "vllm" not in name]


def test_the_steps_take_less_than_eight_minutes_in_all() -> None:
    assert list(gpu_check.LIMITS) == list(STEPS)
    assert sum(gpu_check.LIMITS.values()) <= gpu_check.SECONDS < 480


@pytest.mark.parametrize("name", SHORT)
def test_a_step_yields_its_figures(name: str) -> None:
    found = [figures for each in STEPS[name](REHEARSAL) for figures in each.items()]
    names = {
        "fine_tuning_1b": {"gb_by_arithmetic", "seconds_a_step", "tokens_a_second", "tflops"},
        "preference_model_1b": {"gb_by_arithmetic", "seconds_a_step", "tokens_a_second", "tflops"},
        "ppo_1b": {"gb_by_arithmetic", "seconds_a_rollout", "episodes_a_second", "scored_by"},
        "decoding_1b": {"tokens_a_second", "generate", "ratio"},
    }[name]
    assert names <= {figure for figure, _ in found}
    assert all(value > 0 for figure, value in found if isinstance(value, float) and figure != "turn")


def test_a_stopped_step_keeps_its_figures_and_the_next_ones_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its processes are put in the place of those that import torch."""
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import sys, time\n"
        "print('FIGURES {\"speed\": 2.5}', flush=True)\n"
        "time.sleep(60 if 'machine' in sys.argv else 0)\n"
        "sys.exit('it broke' if 'ppo_1b' in sys.argv else 0)\n"
    )
    monkeypatch.setattr(gpu_check, "__file__", str(slow))
    monkeypatch.setattr(gpu_check, "LIMITS", {"machine": 4.0, "ppo_1b": 6.0, "decoding_1b": 6.0})
    lines: list[str] = []
    out = tmp_path / "out.json"
    steps = ["--steps", "machine", "ppo_1b", "decoding_1b"]
    assert gpu_check.main([*steps, "--out", str(out)], lines.append) == 1
    written = json.loads(out.read_text())
    assert [(step["name"], step["state"]) for step in written["steps"]] == [
        ("machine", "stopped"),
        ("ppo_1b", "failed"),
        ("decoding_1b", "done"),
    ]
    assert all(step["figures"] == [{"speed": 2.5}] for step in written["steps"])
    assert "    it broke" in lines
    assert "machine: speed 2.5" in lines
    assert gpu_check.main([*steps, "--out", str(out), "--seconds", "0"], lines.append) == 0
    assert {step["state"] for step in json.loads(out.read_text())["steps"]} == {"left out"}


def test_models_have_the_sizes_of_their_names() -> None:
    assert gpu_steps.peak_flops("cpu") is None
    width, layers, inner, *_ = gpu_steps.MODELS["8b"]
    assert (width, layers, inner) == (4096, 32, 14336)
