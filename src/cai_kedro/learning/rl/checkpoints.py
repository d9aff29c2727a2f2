"""Checkpoints at step boundaries: what is in one, which run it belongs to, and which one to resume from."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cai_kedro.learning.rewards import ScoreUnits
from cai_kedro.learning.rl_params import AlgorithmParams

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
STATE = "ppo_state.json"
SNAPSHOTS = "snapshots"
DIGESTS = "digests.json"

# What may differ between a run and its continuation: how long it is and where it writes.
_NOT_PART_OF_A_RUN = {"rollouts", "checkpoint_every", "checkpoint_dir"}


@dataclass
class PPOState:
    """What PPO knows beside weights and optimiser: KL coefficient, units of the rewards and the curves so far."""

    kl_coef: float
    units: ScoreUnits | None = None
    curve_rows: list[tuple[int, str, float]] = field(default_factory=list)

    def save(self, directory: Path) -> None:
        """Write as JSON, which keeps every float exactly."""
        (directory / STATE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> "PPOState":
        """Read what `save` wrote."""
        content = json.loads((directory / STATE).read_text(encoding="utf-8"))
        content["curve_rows"] = [tuple(row) for row in content["curve_rows"]]
        content["units"] = content["units"] and ScoreUnits(**content["units"])
        return cls(**content)


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write weights; the file appears only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(weights, partial)
    partial.replace(path)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read weights to the CPU."""
    return load_file(path)


def load_snapshots(run_dir: Path, done: int) -> dict[int, dict[str, Tensor]]:
    """Read the snapshots that were taken in the first `done` steps."""
    files = _snapshot_files(run_dir)
    return {step: load_weights(files[step]) for step in sorted(files) if step <= done}


def _snapshot_files(run_dir: Path) -> dict[int, Path]:
    """Return step and file of each snapshot; what somebody copied beside them under another name is none."""
    files = (run_dir / SNAPSHOTS).glob("*.safetensors")
    return {int(path.stem): path for path in files if path.stem.isdecimal()}


def run_fingerprint(models: Sequence[nn.Module], data: object, params: AlgorithmParams, seed: int) -> str:
    """Return a digest of all that decides a run's outcome, so that a checkpoint of another run is never continued.

    `data` is what is learnt from, as JSON takes it: token ids, and labels where there are some.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(params.model_dump_json(exclude=_NOT_PART_OF_A_RUN).encode())
    digest.update(json.dumps([params.algorithm, seed, data]).encode())
    for model in models:
        for name, weight in model.state_dict().items():
            digest.update(name.encode())
            digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def seal(checkpoint: Path, done: int) -> None:
    """Write the digest of every file of a checkpoint and of the snapshots so far; without it none is whole."""
    snapshots = [path for step, path in _snapshot_files(checkpoint.parent).items() if step <= done]
    files = sorted({*checkpoint.iterdir(), *snapshots} - {checkpoint / DIGESTS})
    digests = {str(path.relative_to(checkpoint.parent)): _digest(path) for path in files}
    partial = checkpoint.parent / f"{checkpoint.name}.partial"
    partial.write_text(json.dumps(digests, indent=2), encoding="utf-8")
    partial.replace(checkpoint / DIGESTS)


def newest_checkpoint(run_dir: Path, max_steps: int, training: str) -> Path | None:
    """Return the newest checkpoint of at most `max_steps` steps whose files are as they were written, or None.

    The trainer's checkpoints are not atomic, and disks fail: a damaged one is passed over with a warning.
    """
    checkpoints = {int(step): path for path in run_dir.glob("checkpoint-*/") if (step := path.name[11:]).isdecimal()}
    for path in (checkpoints[step] for step in sorted(checkpoints, reverse=True) if step <= max_steps):
        fault = _fault(path)
        if fault is None:
            return path
        logger.warning(
            "%s passes over %s: %s; it resumes from an older checkpoint, or starts again", training, path, fault
        )
    return None


def _fault(checkpoint: Path) -> str | None:
    """Say what is wrong with a checkpoint, None if nothing is."""
    try:
        digests: dict[str, str] = json.loads((checkpoint / DIGESTS).read_text(encoding="utf-8"))
        expected = list(digests.items())
    except FileNotFoundError:
        return f"it has no {DIGESTS}, so it was not finished"
    except (OSError, ValueError, AttributeError) as error:
        return f"its {DIGESTS} cannot be read ({error})"
    if not expected:
        return f"its {DIGESTS} names no file"
    for name, digest in expected:
        path = checkpoint.parent / name
        if not path.is_file():
            return f"{name} is missing"
        if _digest(path) != digest:
            return f"{name} is not as it was written, cut off or damaged"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
