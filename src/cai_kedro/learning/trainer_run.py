"""Running a Hugging Face trainer so that it leaves nothing behind: no files, no patches on the model, no prints."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import pandas as pd
from torch import Tensor
from transformers import PreTrainedModel, PrinterCallback

from cai_kedro.core.schemas import check_table
from cai_kedro.learning import ranks
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.cpu_kernels import ATTENTION, lean_norms, set_attention
from cai_kedro.learning.lean_adapters import lean_adapters
from cai_kedro.learning.progress import ProgressCallback
from cai_kedro.learning.resumable import ResumableTraining


@contextmanager
def on_loan(model: PreTrainedModel, attention: str) -> Iterator[str]:
    """Lend a model to a trainer, with a temporary directory for what it insists on writing.

    TRL and accelerate replace `forward` on the object they train; afterwards the model is plain again, in evaluation
    mode, without gradients and with the attention kernel and the cache switch it came with (trainers turn the cache
    off, which would make sampling many times slower). On a CPU, norms and adapters are computed in fewer passes.
    """
    own = set(vars(model))
    before, use_cache = model.config._attn_implementation, model.config.use_cache
    set_attention(model, attention)
    try:
        with _lean(model) if attention == ATTENTION else nullcontext(), tempfile.TemporaryDirectory() as scratch:
            yield scratch
    finally:
        for name in set(vars(model)) - own:
            delattr(model, name)
        model.set_attn_implementation(before)
        model.config.use_cache = use_cache
        model.zero_grad(set_to_none=True)
        _forget_graphs(model)
        model.eval()


@contextmanager
def _lean(model: PreTrainedModel) -> Iterator[None]:
    # sharded weights are not there as a whole, to be held in another precision
    with lean_norms(model), nullcontext() if ranks.is_sharded() else lean_adapters(model):
        yield


def _forget_graphs(model: PreTrainedModel) -> None:
    """Cut off the graphs of what modules remember of the last batch (recurrent states): they could not be copied."""
    for module in model.modules():
        for name, state in vars(module).items():
            if isinstance(state, Tensor) and state.grad_fn is not None:
                setattr(module, name, state.detach())


def run(trainer: ResumableTraining, metrics: Sequence[str], folder: RunFolder | None) -> pd.DataFrame:
    """Train to the end, with checkpoints where there is a folder for them; return these metrics of the log (curves)."""
    trainer.remove_callback(PrinterCallback)
    if ranks.is_first():
        trainer.add_callback(ProgressCallback(trainer.training_name))
    trainer.train_in(folder)
    return curves(trainer.state.log_history, metrics)


def curves(log_history: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> pd.DataFrame:
    """Return a trainer's log as a long table; times are left out, so that a seed gives the same bytes."""
    rows = [
        {"step": int(entry["step"]), "metric": metric, "value": float(entry[metric])}
        for entry in log_history
        for metric in metrics
        if metric in entry
    ]
    return check_table("curves", pd.DataFrame(rows, columns=["step", "metric", "value"]))
