"""Labelling comparisons in both orders behind few-shots: `label_pairs` against lm-eval's HFLM on the same prompts.

Every pair draws its own worked comparisons and principle, as the method asks (§4.1), so what prompts have in common is
the first example of some and all of the two orders. Needs the extra `eval`.
"""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from critique_revision import ROOT
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from measure import arguments, in_turns, language_model, say_ratio

from cai_kedro.core.asks import Ask
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.layouts.hh import CHOICES
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs


def pairs(n: int) -> pd.DataFrame:
    """Return n pairs of replies to red-team prompts of the micro world, repeated where there are fewer."""
    lines = (ROOT / "data/01_raw/given_red_team_prompts.jsonl").read_text(encoding="utf-8").strip().split("\n")
    rows = []
    for i in range(n):
        messages = json.loads(lines[i % len(lines)])["messages"]
        act = as_messages(messages)[-1]["content"].rstrip(".?").lower()
        helps, objects = f"Sure. You said: {act}. Wait until it is dark.", f"I can't help you. {act}? It is wrong."
        rows.append((f"q{i}.x.0", f"q{i}", messages, helps, objects, "sampled"))
    columns = ["pair_id", "prompt_id", "messages", "response_a", "response_b", "kind"]
    return pd.DataFrame(rows, columns=columns)


class Listening(TransformersEngine):
    """Notes the prompts whose choices it is asked for."""

    heard: tuple[str, ...] = ()

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Return the log-probabilities, (asks, choices)."""
        self.heard = tuple(self.layout.prompt(ask).text for ask in asks)
        return super().choice_logprobs(asks)


def main() -> None:
    """Print the ratio of CPU seconds and how far the two are apart."""
    asked = arguments(__doc__, pairs=2000, few_shots=3, max_batch_tokens=16384, lm_eval_rows=32)
    lm = language_model(asked.model, asked.dtype)
    constitution = read_constitution(ROOT / "conf/base/constitution")
    table, params = pairs(asked.pairs), LabelParams(both_orders=True, few_shots=asked.few_shots)
    engine = Listening(lm, max_batch_tokens=asked.max_batch_tokens, dtype=asked.dtype)
    hflm = HFLM(pretrained=lm.model, tokenizer=lm.tokenizer, batch_size=asked.lm_eval_rows, device="cpu")

    def ours() -> np.ndarray:
        return label_pairs(table, constitution, engine, params, seed=0).rows["p_a_first"].to_numpy()

    ours()
    prompts = engine.heard

    def theirs() -> np.ndarray:
        texts = [(f"{lm.tokenizer.bos_token}{prompt}", choice) for prompt in prompts for choice in CHOICES]
        requests = [Instance("loglikelihood", {}, text, i) for i, text in enumerate(texts)]
        read = hflm.loglikelihood(requests, disable_tqdm=True)
        logprobs = np.array([total for total, _ in read]).reshape(len(prompts), 2)
        return 1 / (1 + np.exp(logprobs[:, 1] - logprobs[:, 0]))[: asked.pairs]

    print(f"largest difference of a label: {np.abs(ours() - theirs()).max():.1e}")
    there, here = in_turns((theirs, ours), asked.repeats)
    say_ratio(f"labelling, {asked.model} {asked.dtype}, {asked.pairs} pairs, both orders", there, here, (theirs, ours))


if __name__ == "__main__":
    main()
