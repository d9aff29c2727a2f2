"""What eight times the prompts cost: CPU seconds and peak memory of critique and revision, each size in a new process.

The processes take turns; a process measures its own work, without imports and without loading the model.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

from critique_revision import ROOT, tables
from measure import arguments, language_model

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise

TIMES = 8


def work(prompts: int, model: str, dtype: str, max_batch_tokens: int) -> dict[str, float]:
    """Critique and revise so many responses once; return CPU seconds and peak memory (MiB) of this process."""
    lm = language_model(model, dtype)
    engine = TransformersEngine(lm, max_batch_tokens=max_batch_tokens, dtype=dtype)
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=64)
    params = RevisionParams(rounds=1, few_shots=4, sampling=sampling)
    constitution = read_constitution(ROOT / "conf/base/constitution")
    start = time.process_time()
    critique_and_revise(*tables(prompts), constitution, engine, params, seed=0)
    seconds = time.process_time() - start
    return {"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Print the growth of seconds and memory; with `--only N`, measure N prompts in this process."""
    asked = arguments(__doc__, prompts=128, max_batch_tokens=16384, only=0)
    if asked.only:
        print(json.dumps(work(asked.only, asked.model, asked.dtype, asked.max_batch_tokens)))
        return
    seconds, memory = [], []
    for _ in range(asked.repeats):
        few, many = (
            json.loads(
                subprocess.run(
                    [sys.executable, *sys.argv, "--only", str(n)], check=True, capture_output=True, text=True
                ).stdout.splitlines()[-1]
            )
            for n in (asked.prompts, TIMES * asked.prompts)
        )
        seconds.append(many["seconds"] / few["seconds"])
        memory.append(many["mib"] / few["mib"])
    for what, ratios in (("CPU time", seconds), ("peak memory", memory)):
        print(
            f"{TIMES} × {asked.prompts} prompts, {asked.model} {asked.dtype}: {what} {statistics.median(ratios):.2f} "
            f"times ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} repetitions)"
        )


if __name__ == "__main__":
    main()
