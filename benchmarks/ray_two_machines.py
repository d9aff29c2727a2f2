"""A machine of a Ray cluster is killed while it works: is every row there once, and what it would have been?

    python benchmarks/ray_two_machines.py

Needs Linux, root, iproute2 and the extra `cluster`. Two network namespaces stand for two machines: they see each other
through one cable and nothing else. A Ray head runs in one and a second machine in the other, one CPU core each. The
engine samples on both, undisturbed. It samples again, the run itself is killed (SIGKILL) after some blocks are done,
and started again. At last it samples while every process of the second machine is killed. Each time the rows must be
those of the transformers engine in one process. A run that goes on may do a block again only if it was being written
when the run was killed: one a worker. Exits with 1 if anything differs.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.loading import TransformersSettings, load_engine
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.ray_blocks import blocks_of
from cai_kedro.engines.ray_settings import ClusterSettings
from cai_kedro.microworld.shipped import shipped_directory

HEAD, SECOND = "cai_head", "cai_second"
ADDRESS = {HEAD: "198.51.100.1", SECOND: "198.51.100.2"}  # a range for documentation, inside the namespaces only
PORT = 6399
MODEL = TransformersSettings(kind="transformers", device="cpu", dtype="float32", max_batch_tokens=4096)
CLUSTER = ClusterSettings(address="auto", workers=2, cpus=1, gpus=0, block_prompts=4)
SAMPLING = Sampling(temperature=1.0, top_p=0.95, max_new_tokens=32)
Rows = list[tuple[str, str]]


def prompts_of(n: int) -> list[Reply]:
    """Return n prompts, all different."""
    return [Reply([user(f"How do I polish the ring number {number}?")]) for number in range(n)]


def alone(n: int) -> Rows:
    """Sample with one engine in this process, block by block, in as many threads as a worker."""
    torch.set_num_threads(CLUSTER.cpus)
    engine = load_engine(MODEL, shipped_directory())
    rows = list(enumerate(prompts_of(n)))
    said = [
        completion
        for block in blocks_of(rows, CLUSTER.block_prompts)
        for completion in engine.generate([ask for _, ask in block], SAMPLING, [seed for seed, _ in block])
    ]
    return [(completion.text, completion.finish_reason) for completion in said]


def on_the_cluster(n: int, scratch: Path) -> Rows:
    """Sample on the cluster that this process can reach."""
    from cai_kedro.engines.ray_engine import RayEngine  # noqa: PLC0415 - Ray

    engine = RayEngine(ModelReference(path=str(shipped_directory())), MODEL, CLUSTER, scratch)
    said = engine.generate(prompts_of(n), SAMPLING, range(n))
    return [(completion.text, completion.finish_reason) for completion in said]


def ip(*arguments: str) -> str:
    """Run `ip`."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@contextmanager
def machine(name: str) -> Iterator[None]:
    """Make a network namespace; at the end, end what runs in it and remove it."""
    ip("netns", "add", name)
    try:
        yield
    finally:
        kill(name)
        ip("netns", "del", name)


def processes(name: str) -> list[int]:
    """Return the ids of all processes in a namespace."""
    return [int(word) for word in ip("netns", "pids", name).split()]


def kill(name: str) -> int:
    """Send SIGKILL to every process in a namespace; returns how many there were."""
    killed = processes(name)
    for process in killed:
        os.kill(process, signal.SIGKILL)
    return len(killed)


def connect_machines() -> None:
    """Lay a cable between the namespaces."""
    ip("link", "add", "cai_a", "netns", HEAD, "type", "veth", "peer", "name", "cai_b", "netns", SECOND)
    for name, device in ((HEAD, "cai_a"), (SECOND, "cai_b")):
        ip("-n", name, "address", "add", f"{ADDRESS[name]}/24", "dev", device)
        ip("-n", name, "link", "set", device, "up")
        ip("-n", name, "link", "set", "lo", "up")


def inside(name: str, *command: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a namespace."""
    with log.open("wb") as file:
        return subprocess.Popen(["ip", "netns", "exec", name, *command], stdout=file, stderr=subprocess.STDOUT)


def start_ray(name: str, folder: Path) -> None:
    """Start Ray's processes of one machine, with one core."""
    ray = str(Path(sys.executable).with_name("ray"))
    where = ["--head", f"--port={PORT}", "--include-dashboard=false"] if name == HEAD else []
    where += [] if name == HEAD else [f"--address={ADDRESS[HEAD]}:{PORT}"]
    own = [f"--node-ip-address={ADDRESS[name]}", "--num-cpus=1", f"--temp-dir={folder / name}", "--block"]
    inside(name, ray, "start", *where, *own, log=folder / f"{name}.log")


def wait_for_machines(folder: Path, seconds: float) -> None:
    """Wait until the head knows both machines."""
    code = (
        "import ray; ray.init(address='auto', log_to_driver=False); "
        "raise SystemExit(sum(node['Alive'] for node in ray.nodes()) != 2)"
    )
    until = time.monotonic() + seconds
    while inside(HEAD, sys.executable, "-c", code, log=folder / "wait.log").wait():
        if time.monotonic() > until:
            raise TimeoutError("\n".join(log.read_text()[-2000:] for log in sorted(folder.glob("*.log"))))
        time.sleep(2)


def workers_in(name: str) -> int:
    """Return how many workers of ours live in a namespace."""
    titles = [Path(f"/proc/{process}/cmdline") for process in processes(name)]
    return sum(b"BlockWorker" in title.read_bytes() for title in titles if title.exists())


def start_run(n: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process on the first machine that samples on the cluster and writes the rows into a folder."""
    where = ["--driver", str(folder / "rows.json"), "--scratch", str(folder / "scratch")]
    mine = [str(Path(__file__).resolve()), "--prompts", str(n), *where]
    return inside(HEAD, sys.executable, *mine, log=folder / "run.log")


def rows_of(run: subprocess.Popen[bytes], folder: Path) -> Rows:
    """Wait for a run and return its rows."""
    if run.wait():
        raise RuntimeError((folder / "run.log").read_text()[-4000:])
    return [tuple(row) for row in json.loads((folder / "rows.json").read_text())]


def finished(folder: Path) -> dict[Path, int]:
    """Return the files of finished blocks, and when they were written; none while they are being removed."""
    try:
        return {file: file.stat().st_mtime_ns for file in (folder / "scratch").glob("*/answers/*.parquet")}
    except FileNotFoundError:
        return {}


def wait_for_blocks(run: subprocess.Popen[bytes], folder: Path, blocks: int) -> dict[Path, int]:
    """Wait until so many blocks are done, with a worker on each machine; returns their files."""
    while len(done := finished(folder)) < blocks or not (workers_in(HEAD) and workers_in(SECOND)):
        if run.poll() is not None:
            raise RuntimeError(
                "it was over too soon; ask for more prompts\n" + (folder / "run.log").read_text()[-4000:]
            )
        time.sleep(0.05)
    return done


def undisturbed(n: int, folder: Path, blocks: int) -> tuple[Rows, str]:
    """Sample on both machines."""
    run = start_run(n, folder)
    wait_for_blocks(run, folder, blocks)
    return rows_of(run, folder), ""


def run_killed(n: int, folder: Path, blocks: int) -> tuple[Rows, str]:
    """Kill the process that asked, and ask again."""
    run = start_run(n, folder)
    wait_for_blocks(run, folder, blocks)
    run.kill()
    run.wait()
    while workers_in(HEAD) or workers_in(SECOND):
        time.sleep(0.2)
    kept, again, most = finished(folder), start_run(n, folder), {}
    while again.poll() is None:
        most = max(most, finished(folder), key=len)
        time.sleep(0.05)
    lost = len(kept.items() - most.items())
    if lost > CLUSTER.workers:
        raise RuntimeError(f"{lost} of {len(kept)} blocks that were done were done again")
    return rows_of(again, folder), f"{len(kept)} blocks were done, {lost} of them done again;"


def machine_killed(n: int, folder: Path, blocks: int) -> tuple[Rows, str]:
    """Kill every process of the second machine."""
    run = start_run(n, folder)
    done = wait_for_blocks(run, folder, blocks)
    killed = kill(SECOND)
    return rows_of(run, folder), f"{len(done)} blocks were done, {killed} processes killed;"


TRIALS = {trial.__name__: trial for trial in (undisturbed, run_killed, machine_killed)}


def main() -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=120)
    parser.add_argument("--trials", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--blocks", type=int, default=6, help="how many are done before a kill")
    parser.add_argument("--driver", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    n = arguments.prompts
    if arguments.driver:
        arguments.driver.write_text(json.dumps(on_the_cluster(n, arguments.scratch)))
        return 0
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    wrong = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cai")))
        for place in ADDRESS:
            stack.enter_context(machine(place))
        connect_machines()
        start_ray(HEAD, folder)
        time.sleep(10)
        start_ray(SECOND, folder)
        wait_for_machines(folder, seconds=180)
        wanted = alone(n)
        for name in arguments.trials:
            began = time.monotonic()
            own = folder / name  # what one trial left is no help to the next
            own.mkdir()
            made, told = TRIALS[name](n, own, arguments.blocks)
            equal = sum(one == other for one, other in zip(made, wanted, strict=True))
            seconds = f"{time.monotonic() - began:.0f} s"
            print(f"{name}: {len(made)} of {n} rows, {equal} as in one process; {told} {seconds}", flush=True)
            wrong += made != wanted
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
