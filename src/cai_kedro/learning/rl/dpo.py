"""DPO (Rafailov et al. 2023) by TRL on an arm's comparisons with soft labels: no preference model, no replies drawn."""

from typing import ClassVar, Self

from pydantic import Field

from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import run_folder
from cai_kedro.learning.encoding import encode_pairs
from cai_kedro.learning.launch import train_on
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.rl_params import AlgorithmParams, Data, LearnsFrom, RLResult
from cai_kedro.learning.training_arguments import TrainingParams
from cai_kedro.models.adapters import copy_with, trained
from datasets import Dataset


class DPOParams(TrainingParams, AlgorithmParams):
    """How to learn from comparisons alone. `batch_size` counts comparisons of two answers.

    `beta` weighs the KL divergence from the start policy, in log-odds of a preference a nat. Comparisons of which an
    answer is longer than `max_length` are left out. Snapshots are counted in steps of the optimiser.
    """

    algorithm: ClassVar[str] = "dpo"
    learns_from: ClassVar[LearnsFrom] = "comparisons"
    step_unit: ClassVar[str] = "steps"
    shares_batches: ClassVar[bool] = True

    beta: float = Field(gt=0)

    @property
    def rows_a_step(self) -> int:
        """Comparisons of a batch."""
        return self.batch_size

    def rows(self, comparisons: int) -> int:
        """Return how many comparisons are read, epochs included."""
        return self.epochs * comparisons

    def steps(self, comparisons: int) -> int:
        """Return the number of steps of the optimiser."""
        return self.epochs * -(-comparisons // self.batch_size)

    def small(self, rows: int) -> Self:
        """Return the parameters of one epoch, in batches of at most so many comparisons."""
        size = min(self.batch_size, rows)
        return self.model_copy(update={"epochs": 1, "batch_size": size, "device_batch_size": None, "checkpoints": None})

    def train(self, start: LanguageModel, data: Data, seed: int, processes: Processes) -> RLResult:
        """Train on the comparisons, from the newest checkpoint of this very run if there is one."""
        # imported here: most runs train by another algorithm, and TRL's trainers take a second each
        from cai_kedro.learning.rl.dpo_trainer import train_with_dpo  # noqa: PLC0415

        seed = derive_seed(seed, "direct preference optimisation")
        dataset = dpo_dataset(start, data, self)
        with run_folder("DPO", self, [start], dataset, seed, processes) as folder:
            outcome = train_on(processes, train_with_dpo, start, dataset, self, seed, folder)
        last = self.steps(len(dataset))
        snapshots = {
            step: trained(start) if step == last else copy_with(start, weights)
            for step, weights in outcome.snapshots.items()
        }
        return RLResult(trained(start), snapshots, outcome.curves, last)


def dpo_dataset(start: LanguageModel, data: Data, params: DPOParams) -> Dataset:
    """Return `prompt_ids`, `chosen_ids` (answer A), `rejected_ids` (B), `p_a_better` and `length` of each that fits.

    Raises `ValueError` without comparisons, or when none fits.
    """
    comparisons = data.comparisons
    if comparisons is None or comparisons.empty:
        raise ValueError("there are no comparisons for dpo to learn from; check what made the `comparisons` table")
    pairs = encode_pairs(start, comparisons, params.max_length, "rlhf.rl.dpo.max_length")
    return Dataset.from_dict(
        {
            "prompt_ids": [pair.a.prompt for pair in pairs],
            "chosen_ids": [pair.a.completion for pair in pairs],
            "rejected_ids": [pair.b.completion for pair in pairs],
            "p_a_better": [pair.p_a_better for pair in pairs],
            "length": [pair.length for pair in pairs],
        }
    )
