"""Peak memory, time and disk of one arm by PPO with all weights trained, and with an adapter, in one sitting.

    python benchmarks/adapter_memory.py --width 768 --layers 12

A Llama of random weights learns against a preference model of random weights; each way in a process of its own, whose
peak of resident memory is read at its end. What Python and torch take by themselves, before a model is there, is taken
off. Replies are short, so that weights and what the optimiser keeps of them decide, as they do with large models.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = ("none", "lora")


def main() -> None:
    """Run both ways and print their figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--way", choices=WAYS, help="one way, in this process")
    given = parser.parse_args()
    if given.way:
        print(json.dumps(arm(given.way, given.width, given.layers, given.rank)))
        return
    found = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way]
        command += [f"--{name}={getattr(given, name)}" for name in ("width", "layers", "rank")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
        print(way, found[way])
    for figure in ("peak_mb", "seconds", "disk_mb"):
        print(f"{figure}: whole / adapter = {found['none'][figure] / found['lora'][figure]:.2f}")


def arm(way: str, width: int, layers: int, rank: int) -> dict[str, float]:
    """Train a policy in two rollouts; return its figures in MB and seconds."""
    import pandas as pd  # noqa: PLC0415 - what is imported here counts as memory that no model takes
    import torch  # noqa: PLC0415

    from cai_kedro.core.conversation import user  # noqa: PLC0415
    from cai_kedro.engines.language_model import LanguageModel  # noqa: PLC0415
    from cai_kedro.engines.model_files import load_tokenizer, save_language_model  # noqa: PLC0415
    from cai_kedro.engines.model_reference import load_model, save_model  # noqa: PLC0415
    from cai_kedro.learning.preference import with_score_head  # noqa: PLC0415
    from cai_kedro.learning.rl import Data, train  # noqa: PLC0415
    from cai_kedro.learning.rl.ppo import PPOParams  # noqa: PLC0415
    from cai_kedro.microworld.shipped import shipped_directory  # noqa: PLC0415
    from cai_kedro.models.adapters import AdapterParams, LoRAParams, prepared  # noqa: PLC0415

    tokenizer, layout = load_tokenizer(shipped_directory())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        before = peak_mb()
        torch.manual_seed(0)
        save_language_model(LanguageModel(llama(width, layers, len(tokenizer)), tokenizer, layout), place / "base")
        params = AdapterParams(adapter=way, lora=LoRAParams(rank=rank, alpha=2.0 * rank, targets=None))  # type: ignore[arg-type]
        base = load_model(place / "base")
        scorer = LanguageModel(with_score_head(base, 0.1, 0), tokenizer, layout)
        del base
        prompts = pd.DataFrame({"prompt_id": ["a", "b"], "messages": [[user("Who?")], [user("What?")]]})
        began = time.perf_counter()
        start = prepared(load_model(place / "base"), params, 0)
        result = train(start, Data(prompts=prompts, preference_model=scorer), PPOParams(**SETTINGS), 0)
        seconds = time.perf_counter() - began
        save_model(result.policy, place / "policy")
        size = sum(file.stat().st_size for file in (place / "policy").iterdir())
        return {
            "parameters": float(sum(each.numel() for each in scorer.model.parameters())),
            "peak_mb": round(peak_mb() - before, 1),
            "seconds": round(seconds, 1),
            "disk_mb": round(size / 1e6, 2),
        }


def llama(width: int, layers: int, vocabulary: int) -> Any:
    """Return a model of random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=width * 8 // 3,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            tie_word_embeddings=True,
            pad_token_id=0,
        )
    )


def peak_mb() -> float:
    """Return the most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


SETTINGS: dict[str, Any] = {
    "device": "cpu", "dtype": "float32", "rollouts": 2, "prompts_per_rollout": 2, "samples_per_prompt": 2,
    "ppo_epochs": 1, "minibatch_size": 4, "learning_rate": 1e-4, "value_learning_rate": 1e-3, "warmup_rollouts": 0,
    "clip_range": 0.2, "value_clip_range": 0.5, "vf_coef": 0.5, "value_trunk_gradient": 0.1, "gamma": 1.0,
    "gae_lambda": 0.95, "whiten_advantages": True, "center_scores": True, "scale_rewards": True, "kl_coef": 0.1,
    "kl_target": None, "kl_horizon": 1000.0, "max_new_tokens": 8, "temperature": 1.0, "missing_eos_penalty": 1.0,
    "max_grad_norm": 1.0, "max_batch_tokens": 4096, "snapshot_every": 1,
}  # fmt: skip


if __name__ == "__main__":
    main()
