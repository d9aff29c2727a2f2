"""What a run is computed on.

The same seed on another processor is another training: kernels round differently, and training carries that on.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch

from cai_kedro.engines.precision import DType, resolve_device, resolve_dtype

#: Whose arithmetic and defaults a result depends on.
LIBRARIES = ("torch", "transformers", "trl")

#: Where Linux says how much memory a container may use.
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_facts(device: str, dtype: DType, engine_dtype: DType) -> dict[str, str]:
    """Return what decides how a run rounds: processor, cores, threads, device, precisions in force, versions.

    `dtype` is that of training, `engine_dtype` that in which models are read; a device that is not there decides
    neither. Nothing of it names a host or a user.
    """
    device = resolve_device(device)
    there = not device.startswith("cuda") or torch.cuda.is_available()
    return {
        "processor": processor_name(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": _device_name(device) if there else f"{device} (not there)",
        "dtype": resolve_dtype(dtype, device) if there else dtype,
        "engine_dtype": resolve_dtype(engine_dtype, device) if there else engine_dtype,
        "python": platform.python_version(),
        **{library: _version(library) for library in LIBRARIES},
    }


def machine_line(facts: Mapping[str, str]) -> str:
    """Write the facts as one line."""
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", *LIBRARIES))
    return (
        f"{facts['processor']}, {_count(facts['cores'], 'core')}, {_count(facts['threads'], 'thread')}, "
        f"{facts['device']}, training in {facts['dtype']}, models read in {facts['engine_dtype']}, {versions}"
    )


def processor_name(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model and the vector instructions that torch uses on it: `… (family 26, model 2), AVX512`.

    A virtual machine may hide the model's name; family and model number tell processors apart even then.
    """
    return f"{_model_name(cpu_info)}, {torch.backends.cpu.get_cpu_capability()}"


def _model_name(cpu_info: Path) -> str:
    try:
        first = cpu_info.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return _model_name_elsewhere()
    pairs = (line.partition(":") for line in first.splitlines())
    entries = {name.strip(): value.strip() for name, _, value in pairs}
    if "model name" not in entries:
        return _model_name_elsewhere()
    return f"{entries['model name']} (family {entries.get('cpu family', '?')}, model {entries.get('model', '?')})"


def _model_name_elsewhere() -> str:
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - fixed
        except (OSError, subprocess.SubprocessError):
            return platform.machine()
        return done.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _device_name(device: str) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _count(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def memory_of(device: str) -> int | None:
    """Return the bytes of memory of a device: of the card, or of the machine as far as this process may use it.

    None where nobody tells, and for a card that is not there.
    """
    if device.startswith("cuda"):
        return torch.cuda.get_device_properties(device).total_memory if torch.cuda.is_available() else None
    if device != "cpu":
        return None
    limits = [_limit(Path(file)) for file in _CGROUP_LIMITS]
    return min([psutil.virtual_memory().total, *(limit for limit in limits if limit is not None)])


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # `max`: there is none
        return None
