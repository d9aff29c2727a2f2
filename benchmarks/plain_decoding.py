"""Plain decoding without a common prefix: this project's sampling loop against `model.generate`.

256 prompts of 20 to 60 random tokens, in one batch; nothing stops early.
"""

import numpy as np
import torch
from measure import arguments, in_turns, language_model, say_ratio

from cai_kedro.engines.sampling import sample_tokens


def main() -> None:
    """Print the ratio of CPU seconds."""
    asked = arguments(__doc__, rows=256, new_tokens=40)
    lm = language_model(asked.model, asked.dtype)
    pad = lm.tokenizer.pad_token_id
    rng = np.random.default_rng(0)
    prompts = [rng.integers(2, len(lm.tokenizer), size=n).tolist() for n in rng.integers(20, 61, size=asked.rows)]

    def ours() -> None:
        sample_tokens(
            lm.model,
            prompts,
            temperature=1.0,
            top_p=1.0,
            max_new_tokens=asked.new_tokens,
            seeds=range(asked.rows),
            eos_token_id=None,
            pad_token_id=pad,
            max_batch_tokens=asked.rows * (60 + asked.new_tokens),
        )

    lm.model.generation_config.eos_token_id = None
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])

    def theirs() -> None:
        lm.model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            top_k=0,
            max_new_tokens=asked.new_tokens,
            pad_token_id=pad,
        )

    there, here = in_turns((theirs, ours), asked.repeats)
    what = f"plain decoding, {asked.model} {asked.dtype}, {asked.rows} rows × {asked.new_tokens} tokens"
    say_ratio(what, there, here, (theirs, ours))


if __name__ == "__main__":
    main()
