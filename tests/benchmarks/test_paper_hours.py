"""The costs that the documentation names are those of the arithmetic."""

from benchmarks.paper_hours import _SHAPES, LENGTHS, SPEED, tables
from transformers import LlamaConfig

from cai_kedro.engines.model_shape import shape_of
from cai_kedro.metrics.gpu_hours import hours, paper_work
from tests.project_copy import PROJECT


def test_the_documentation_has_the_table() -> None:
    assert "\n".join(tables()) in (PROJECT / "docs" / "costs.md").read_text(encoding="utf-8")


def test_sizes_are_those_of_llama_3() -> None:
    sizes = {"1B": (2048, 16, 8192, 32, True), "8B": (4096, 32, 14336, 32, False), "70B": (8192, 80, 28672, 64, False)}
    for name, (width, layers, inner, heads, tied) in sizes.items():
        config = LlamaConfig(
            vocab_size=128256, hidden_size=width, num_hidden_layers=layers, intermediate_size=inner,
            num_attention_heads=heads, num_key_value_heads=8, tie_word_embeddings=tied,
        )  # fmt: skip
        assert shape_of(config) == _SHAPES[name]


def test_a_run_at_8b_is_within_the_goal_by_these_assumptions() -> None:
    total = sum(hours(work, _SHAPES["8B"], SPEED, sharing=True) for work in paper_work(LENGTHS).values())
    assert total < 60
