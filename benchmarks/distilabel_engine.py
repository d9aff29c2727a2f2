"""Critique and revision behind few-shots: this project's engine against distilabel's `TransformersLLM`.

Both are asked by the same node. distilabel is called in this process, without the processes of its `Pipeline`. Its LLM
hands one prompt after another to transformers' text-generation pipeline and knows no stop strings, so it writes on
until the model ends or `--new-tokens` are written. Needs `pip install distilabel==1.5.3` in an environment with this
project.
"""

import tempfile
from collections.abc import Sequence

from critique_revision import ROOT, tables
from distilabel.models import TransformersLLM
from measure import arguments, in_turns, language_model, say_ratio

from cai_kedro.core.asks import Ask
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.layouts.hh import STOPS, text_of
from cai_kedro.engines.base import Completion, Sampling, TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.stopping import cut_at
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise


class DistilabelEngine:
    """Samples through distilabel."""

    def __init__(self, lm: LanguageModel) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lm.model.save_pretrained(folder)
            lm.tokenizer.save_pretrained(folder)
            self._llm = TransformersLLM(model=folder, device="cpu")
            self._llm.load()
        # the prompt as it is, instead of a conversation
        self._llm._pipeline.tokenizer.chat_template = None

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask; the seeds are not used."""
        outputs = self._llm.generate(
            inputs=[[{"role": "user", "content": prompt}] for prompt in map(text_of, asks)],
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            repetition_penalty=1.0,
        )
        cut = [cut_at(output["generations"][0], STOPS) for output in outputs]
        return [Completion(text.strip(), "stop" if stopped else "length") for text, stopped in cut]


def main() -> None:
    """Print the ratio of CPU seconds."""
    asked = arguments(__doc__, prompts=512, rounds=2, few_shots=4, new_tokens=64, max_batch_tokens=16384)
    lm = language_model(asked.model, asked.dtype)
    constitution = read_constitution(ROOT / "conf/base/constitution")
    prompts, responses = tables(asked.prompts)
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=asked.new_tokens)
    params = RevisionParams(rounds=asked.rounds, few_shots=asked.few_shots, sampling=sampling)

    def revise(engine: TextEngine) -> int:
        return len(critique_and_revise(prompts, responses, constitution, engine, params, seed=0).rows)

    ours = TransformersEngine(lm, max_batch_tokens=asked.max_batch_tokens, dtype=asked.dtype)
    theirs = DistilabelEngine(lm)
    there, here = in_turns([lambda: revise(theirs), lambda: revise(ours)], asked.repeats)
    say_ratio(f"distilabel, {asked.model} {asked.dtype}, {asked.prompts} prompts × {asked.rounds} rounds", there, here)


if __name__ == "__main__":
    main()
