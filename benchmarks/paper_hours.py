"""GPU hours of the paper's run at 1, 8 and 70 billion parameters, by arithmetic: the tables of docs/costs.md.

    python benchmarks/paper_hours.py

Nothing is measured. Sizes of the models are those of Llama 3.
"""

from collections.abc import Iterator

from cai_kedro.core.model_shape import ModelShape
from cai_kedro.metrics.flops import CARDS
from cai_kedro.metrics.gpu_hours import Lengths, Speed, cards, hours, paper_work

_SHAPES = {
    # parameters, embeddings, layers, width, inner, heads, heads of keys, their width, vocabulary
    "1B": ModelShape(1_235_814_400, 262_668_288, 16, 2048, 8192, 32, 8, 64, 128_256),
    "8B": ModelShape(8_030_261_248, 525_336_576, 32, 4096, 14_336, 32, 8, 128, 128_256),
    "70B": ModelShape(70_553_706_496, 1_050_673_152, 80, 8192, 28_672, 64, 8, 128, 128_256),
}
_FLOPS, _BANDWIDTH, _MEMORY = CARDS["H100"]
#: Assumptions, not measured.
SPEED = Speed(_FLOPS, _BANDWIDTH, _MEMORY, mfu=0.4, mbu=0.5, filled=0.9, rows=512)
LENGTHS = Lengths(prompt=60, reply=120, critique=80, request=40, critique_shots=1200, label_shots=3, ppo_epochs=2)


def tables() -> Iterator[str]:
    """Yield the lines of the table of hours, and below it those of its sums."""
    work = paper_work(LENGTHS)
    yield f"| stage | rows | {' | '.join(_SHAPES)} | 8B, nothing shared |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    sums = [0.0] * 4
    for stage, of_stage in work.items():
        found = [hours(of_stage, shape, SPEED, sharing=True) for shape in _SHAPES.values()]
        found.append(hours(of_stage, _SHAPES["8B"], SPEED, sharing=False))
        sums = [total + one for total, one in zip(sums, found, strict=True)]
        yield f"| {stage} | {of_stage.rows:,} | {' | '.join(f'{one:,.1f}' for one in found)} |"
    yield f"| all | | {' | '.join(f'{one:,.1f}' for one in sums)} |"
    yield f"| cards that hold a model | | {' | '.join(str(cards(shape, SPEED)) for shape in _SHAPES.values())} | 1 |"


def main() -> None:
    """Print the table."""
    print("\n".join(tables()))


if __name__ == "__main__":
    main()
