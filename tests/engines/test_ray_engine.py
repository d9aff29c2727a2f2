"""The engine on a real Ray cluster of this machine. Skipped where Ray (extra `cluster`) is not installed.

Ray listens on every interface, so the cluster lives in a network namespace of its own that has none but the loopback.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cai_kedro.core.asks import Plain
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.ray_blocks import blocks_of
from cai_kedro.engines.transformers_engine import TransformersEngine
from tests.asks import plain

PROMPTS = [f"\n\nHuman: {'why ' * n}{n}\n\nAssistant:" for n in range(8)]
SEEDS = [2**62 + n for n in range(8)]
SAMPLING = Sampling(temperature=1.0, top_p=0.9, max_new_tokens=12)
CHOICES = (" (A)", " (Bc)")
BLOCK = 3
ALONE = ("unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
ON_THE_CLUSTER = """
import json, sys
from pathlib import Path

import ray
from cai_kedro.core.asks import Plain
from cai_kedro.engines.base import PromptTooLongError, Sampling
from cai_kedro.engines.loading import TransformersSettings
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.ray_cluster import ClusterError, connect
from cai_kedro.engines.ray_engine import RayEngine
from cai_kedro.engines.ray_settings import ClusterSettings

folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
model = TransformersSettings(kind="transformers", device="cpu", dtype="float32", max_batch_tokens=512)
settings = {"address": "auto", "workers": 2, "cpus": 1, "gpus": 0, "block_prompts": given["block"]}
told = {}

def engine(name):
    return RayEngine(ModelReference(path=str(folder / name)), model, ClusterSettings(**settings), folder / "scratch")

def fault(call, kind):
    try:
        call()
    except kind as error:
        return str(error)

told["nowhere"] = fault(lambda: connect(ClusterSettings(**{**settings, "address": "127.0.0.1:9"})), ClusterError)
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
told["no room"] = fault(lambda: connect(ClusterSettings(**{**settings, "gpus": 1})), ClusterError)
whole, sampling = engine("model"), Sampling(**given["sampling"])
told["too long"] = fault(lambda: whole.generate([Plain("a"), Plain("x" * 2000)], sampling, [1, 2]), PromptTooLongError)
asks = [Plain(text, tuple(given["choices"]), ("w",)) for text in given["prompts"]]
said = whole.generate(asks, sampling, given["seeds"])
told["said"] = [(one.text, one.finish_reason) for one in said]
told["tokens"] = whole.tokens_written
told["logprobs"] = whole.choice_logprobs(asks).tolist()
told["diverged"] = fault(lambda: engine("diverged").generate(asks[:1], sampling, [1]), ClusterError)
ray.shutdown()
again = whole.generate(asks, sampling, given["seeds"])
told["asks nobody for what was answered"] = again == said
other = lambda: whole.generate([Plain(text, (), ("x",)) for text in given["prompts"]], sampling, given["seeds"])
told["another call is another call"] = fault(other, ClusterError) is not None
print("told", json.dumps(told))
"""


def _can_be_alone() -> bool:
    tools = all(shutil.which(tool) for tool in ("unshare", "ip"))
    return tools and subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra `cluster`")
@pytest.mark.skipif(not _can_be_alone(), reason="no network namespaces here (unshare, iproute2)")
def test_a_cluster_says_what_one_engine_says(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    save_language_model(tiny_lm, tmp_path / "model")
    engine = TransformersEngine(tiny_lm, max_batch_tokens=512, dtype="float32")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = blocks_of(list(zip(PROMPTS, SEEDS, strict=True)), BLOCK)
    wanted = [one for block in rows for one in engine.generate(*_columns(block))]
    logprobs = np.concatenate([engine.choice_logprobs(plain(block, CHOICES)) for block in blocks_of(PROMPTS, BLOCK)])
    torch.set_num_threads(threads)
    with torch.no_grad():
        next(tiny_lm.model.parameters()).fill_(torch.nan)
    save_language_model(tiny_lm, tmp_path / "diverged")

    given = {"prompts": PROMPTS, "seeds": SEEDS, "choices": CHOICES, "block": BLOCK, "sampling": SAMPLING.model_dump()}
    run = subprocess.run(
        [*ALONE, sys.executable, "-c", ON_THE_CLUSTER, str(tmp_path), json.dumps(given)],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout[run.stdout.index("told ") + 5 :].splitlines()[0])
    assert [tuple(row) for row in told["said"]] == [(one.text, one.finish_reason) for one in wanted]
    assert {reason for _, reason in told["said"]} == {"stop", "length"}
    assert told["tokens"] == engine.tokens_written
    np.testing.assert_array_equal(np.array(told["logprobs"], dtype=np.float32), logprobs)
    assert told["asks nobody for what was answered"]
    assert told["another call is another call"]
    assert "there is no Ray cluster at '127.0.0.1:9'" in told["nowhere"]
    assert "has the 1 CPU cores and 1 GPUs of a worker" in told["no room"]
    assert "the prompt of row 1 has 2001 tokens" in told["too long"]
    assert "a worker failed" in told["diverged"]
    assert "its weights have diverged" in told["diverged"]


def _columns(block: list[tuple[str, int]]) -> tuple[list[Plain], Sampling, list[int]]:
    return plain([prompt for prompt, _ in block], stops=["w"]), SAMPLING, [seed for _, seed in block]
