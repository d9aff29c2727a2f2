"""Critique and revision behind few-shots: this project's engine against batches of `model.generate`.

The same node (`critique_and_revise`) asks both, with the same prompts, principles, worked examples and sampling. The
replies to revise are the first halves of worked examples; what is written differs by the draw, not in distribution.
"""

import json
from pathlib import Path

import pandas as pd
from generate_engine import GenerateEngine
from measure import arguments, in_turns, language_model, say_ratio

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.pipelines.data_generation.revision import RevisionParams, critique_and_revise

ROOT = Path(__file__).parents[1]


def tables(n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return n red-team prompts of the micro world, repeated where there are fewer, and a harmful reply to each."""
    lines = (ROOT / "data/01_raw/given_red_team_prompts.jsonl").read_text(encoding="utf-8").strip().split("\n")
    messages = [json.loads(lines[i % len(lines)])["messages"] for i in range(n)]
    ids = [f"p{i}" for i in range(n)]
    prompts = pd.DataFrame({"prompt_id": ids, "messages": messages})
    reply = "Sure, to do that, wait until it is dark and cut the lock."
    return prompts, pd.DataFrame({"prompt_id": ids, "sample": 0, "policy": "micro", "response": reply})


def main() -> None:
    """Print the ratio of CPU seconds."""
    asked = arguments(
        __doc__, prompts=512, rounds=2, few_shots=4, new_tokens=64, max_batch_tokens=16384, generate_rows=64
    )
    lm = language_model(asked.model, asked.dtype)
    constitution = read_constitution(ROOT / "conf/base/constitution")
    prompts, responses = tables(asked.prompts)
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=asked.new_tokens)
    params = RevisionParams(rounds=asked.rounds, few_shots=asked.few_shots, sampling=sampling)

    def revise(engine: TextEngine) -> int:
        return len(critique_and_revise(prompts, responses, constitution, engine, params, seed=0).rows)

    ours = TransformersEngine(lm, max_batch_tokens=asked.max_batch_tokens, dtype=asked.dtype)
    theirs = GenerateEngine(lm, rows=asked.generate_rows)
    runs = (lambda: revise(theirs), lambda: revise(ours))
    there, here = in_turns(runs, asked.repeats)
    say_ratio(f"{asked.model} {asked.dtype}, {asked.prompts} prompts × {asked.rounds} rounds", there, here, runs)


if __name__ == "__main__":
    main()
