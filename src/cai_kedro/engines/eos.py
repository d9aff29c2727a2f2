"""Which tokens end an answer: one set per model, for engines and training alike."""

from collections.abc import Iterator
from typing import Any

from transformers import GenerationConfig, PretrainedConfig, PreTrainedTokenizerBase

from cai_kedro.core.layouts.base import Layout
from cai_kedro.engines.language_model import LanguageModel


def eos_ids(lm: LanguageModel) -> tuple[int, ...]:
    """Return the ids that end an answer, each once: first the one that training writes (`end_id`).

    Then the tokenizer's EOS and those of the generation config and of the model's config. Models of conversations have
    several, such as one for the end of a turn and one for the end of a text. Empty for a model that has none.
    """
    end = end_id(lm.tokenizer, lm.layout)
    others = eos_ids_of(lm.tokenizer, lm.model.generation_config, lm.model.config)
    return others if end is None else tuple(dict.fromkeys([end, *others]))


def end_id(tokenizer: PreTrainedTokenizerBase, layout: Layout) -> int | None:
    """Return the id behind the assistant's turn: the end of a turn, or the tokenizer's EOS; None without either."""
    if layout.turn_end is None:
        ended: int | None = tokenizer.eos_token_id
        return ended
    return tokenizer.get_vocab()[layout.turn_end]


def eos_ids_of(
    tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig | None, config: PretrainedConfig
) -> tuple[int, ...]:
    """Return what `eos_ids` returns, for a model whose weights are not loaded."""
    sources = (
        tokenizer.eos_token_id,
        getattr(generation, "eos_token_id", None),
        getattr(config, "eos_token_id", None),
        getattr(config.get_text_config(decoder=True), "eos_token_id", None),
    )
    return tuple(dict.fromkeys(token for source in sources for token in _ids(source)))


def _ids(eos: Any) -> Iterator[int]:
    """Yield the ids of one id, of a list of them, or of nothing."""
    yield from () if eos is None else map(int, eos) if isinstance(eos, (list, tuple)) else (int(eos),)
