"""What this project does on a machine with a GPU, in at most 8 minutes and without a network.

    python benchmarks/gpu_check.py                 # prints, and writes gpu_check.json as it goes
    python benchmarks/gpu_check.py --rehearse      # the same steps with tiny models on the CPU

Each step is a process of its own with a limit of time; its figures are written as they come, so what was measured
before a step, or all of it, was stopped is kept. No model is needed: those of 1 and 8 billion parameters have random
weights.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Step → seconds at most, in the order in which they run: small ones first. Together less than 8 minutes.
LIMITS = {
    "machine": 20,
    "fine_tuning_1b": 30,
    "preference_model_1b": 30,
    "ppo_1b": 45,
    "decoding_1b": 20,
    "fine_tuning_8b": 35,
    "preference_model_8b": 35,
    "ppo_8b": 50,
    "decoding_8b": 30,
    "vllm_1b": 60,
    "ppo_vllm_1b": 60,
    "micro_world": 60,
}
SECONDS = 475.0
_MARK = "FIGURES "
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1"}


@dataclass
class Step:
    """How a step went: `done`, `stopped` at its limit, `failed`, or `left out` because no time was left."""

    name: str
    state: str
    seconds: float = 0.0
    figures: list[dict[str, Any]] = field(default_factory=list)
    last_lines: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None, tell: Callable[[str], None] = print) -> int:
    """Run the steps; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"))
    parser.add_argument("--rehearse", action="store_true", help="tiny models on the CPU")
    parser.add_argument("--steps", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all steps together")
    parser.add_argument("--step", choices=LIMITS, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.step:
        _run_here(asked.step, asked.rehearse)
        return 0
    steps: list[Step] = []
    ends = time.monotonic() + asked.seconds
    for name in asked.steps:
        limit = min(LIMITS[name] * (10 if asked.rehearse else 1), ends - time.monotonic())
        step = Step(name, "running")
        steps.append(step)
        if limit <= 0:
            step.state = "left out"
        else:
            _run(step, asked.rehearse, limit, lambda: _write(asked.out, asked.rehearse, steps), tell)
        _write(asked.out, asked.rehearse, steps)
        tell(f"{name}: {step.state} after {step.seconds:.1f} s")
        for line in step.last_lines if step.state == "failed" else ():
            tell(f"    {line}")
    return int(any(step.state == "failed" for step in steps))


def _run(step: Step, rehearse: bool, limit: float, write: Callable[[], None], tell: Callable[[str], None]) -> None:
    """Run a step in a process of its own, for so many seconds at most; take its figures as they come."""
    command = [sys.executable, __file__, "--step", step.name, *(["--rehearse"] if rehearse else [])]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**os.environ, **_OFFLINE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    step.state = "stopped"
    with contextlib.suppress(queue.Empty):
        while (line := lines.get(timeout=max(0.0, began + limit - time.monotonic()))) is not None:
            if line.startswith(_MARK):
                step.figures.append(json.loads(line.removeprefix(_MARK)))
                tell(f"{step.name}: {_shown(step.figures[-1])}")
                write()
            else:
                step.last_lines = [*step.last_lines[-19:], line]
        step.state = "failed" if process.wait() else "done"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with what it started
    process.wait()
    step.seconds = time.monotonic() - began


def _read(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    lines.put(None)


def _run_here(name: str, rehearse: bool) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from benchmarks import gpu_steps  # noqa: PLC0415 - with torch, which the process that waits does not need

    scale = gpu_steps.REHEARSAL if rehearse else gpu_steps.GPU
    for figures in gpu_steps.STEPS[name](scale):
        print(_MARK + json.dumps(figures), flush=True)


def _write(out: Path, rehearse: bool, steps: Sequence[Step]) -> None:
    """Write all that is known so far; a reader never sees half of it."""
    part = out.with_name(f".{out.name}.part")
    content = {"rehearsal": rehearse, "steps": [vars(step) for step in steps]}
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(out)


def _shown(figures: dict[str, Any]) -> str:
    short = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in figures.items()}
    return ", ".join(f"{name} {value}" for name, value in short.items())


if __name__ == "__main__":
    sys.exit(main())
