"""What shards cost a small run: critique and revision of 600 responses, with and without shards, interleaved.

    python benchmarks/shards_cost.py --repetitions 5

Both save the finished table; with shards there are the fingerprint of the model, one shard, its manifest and the lock.
Prints the median of both and the median ratio.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from cai_kedro import microworld
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.shards import ShardParams
from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.datasets.shards_dataset import ShardsDataset
from cai_kedro.datasets.table_dataset import TableDataset
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise, plan_of
from cai_kedro.templates.responses import ResponseParams, sample_responses

PROJECT = Path(__file__).parents[1]
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=64)
REVISION = RevisionParams(rounds=1, few_shots=0, sampling=SAMPLING)


def engine() -> TextEngine:
    """Return the shipped micro LM as a stage gets it: its fingerprint is not known yet."""
    lm = load_language_model(Path(microworld.__file__).parent / "micro_lm")
    return TransformersEngine(lm, max_batch_tokens=16384, dtype="auto")


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Return how long it took, on the clock and of the processor (which other programs do not disturb)."""
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - began_cpu


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    torch.set_num_threads(1)
    constitution = read_constitution(PROJECT / "conf" / "base" / "constitution")
    prompts = PromptsDataset(filepath=PROJECT / "data" / "01_raw" / "given_red_team_prompts.jsonl").load()
    asked = ResponseParams(policy="pretrained", prompts=600, samples=1, sampling=SAMPLING)
    responses: pd.DataFrame = sample_responses(prompts, engine(), asked, 0).rows
    folder = Path(tempfile.mkdtemp(dir=PROJECT / "data"))

    def without(lm: TextEngine) -> None:
        made = critique_and_revise(prompts, responses, constitution, lm, REVISION, 0)
        TableDataset(filepath=folder / "without.parquet", kind="revisions").save(made.rows)

    def with_shards(lm: TextEngine) -> None:
        shards = ShardParams(prompts=1024, max_quarantined=0.01)
        plan = plan_of(critique_and_revise)(prompts, responses, constitution, lm, REVISION, 0, shards)
        ShardsDataset(filepath=folder / "with.parquet", kind="revisions").save(plan)

    times: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    try:
        for _ in range(repetitions):
            for name, work in (("without", without), ("with", with_shards)):
                shutil.rmtree(folder / "shards", ignore_errors=True)
                lm = engine()
                times[name].append(seconds(lambda work=work, lm=lm: work(lm)))
        same = (folder / "without.parquet").read_bytes() == (folder / "with.parquet").read_bytes()
    finally:
        shutil.rmtree(folder)
    print(f"same bytes: {same}")
    for place, clock in enumerate(("on the clock", "of the processor")):
        one, other = ([pair[place] for pair in times[name]] for name in ("without", "with"))
        ratios = [b / a for a, b in zip(one, other, strict=True)]
        print(
            f"{clock}: {statistics.median(one):.2f} s without, {statistics.median(other):.2f} s with shards, "
            f"ratio {statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f})"
        )


if __name__ == "__main__":
    main()
