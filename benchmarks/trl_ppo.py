"""What `algorithms.py` runs in another environment: TRL's own PPO, `python trl_ppo.py WORK ROLLOUTS`.

It needs torch, transformers and a TRL that still has PPO (1.12.0), and none of this project. The last line is the CPU
seconds of the training.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer

from datasets import Dataset


def main(work: Path, rollouts: int) -> None:
    """Train for so many rollouts; print the CPU seconds."""
    torch.set_num_threads(1)
    given: dict[str, Any] = json.loads((work / "workload.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(work / "policy", padding_side="left")
    policy, reference = (AutoModelForCausalLM.from_pretrained(work / "policy", dtype=torch.float32) for _ in range(2))
    scorer, value = (
        AutoModelForSequenceClassification.from_pretrained(work / "preference_model", dtype=torch.float32)
        for _ in range(2)
    )
    episodes = given["prompts_per_rollout"] * given["samples_per_prompt"]
    repeated = [ids for ids in given["prompts"] for _ in range(given["samples_per_prompt"])]
    with tempfile.TemporaryDirectory() as scratch:
        args = PPOConfig(
            output_dir=scratch,
            use_cpu=True,
            bf16=torch.ops.mkldnn._is_mkldnn_bf16_supported(),
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            num_sample_generations=0,
            total_episodes=rollouts * episodes,
            per_device_train_batch_size=given["minibatch_size"],
            gradient_accumulation_steps=episodes // given["minibatch_size"],
            num_mini_batches=episodes // given["minibatch_size"],
            local_rollout_forward_batch_size=episodes,
            num_ppo_epochs=given["ppo_epochs"],
            response_length=given["max_new_tokens"],
            temperature=given["temperature"],
            kl_coef=given["kl_coef"],
            learning_rate=given["learning_rate"],
            missing_eos_penalty=given["missing_eos_penalty"],
            stop_token="eos",
        )
        trainer = PPOTrainer(
            args=args,
            processing_class=tokenizer,
            model=policy,
            ref_model=reference,
            reward_model=scorer,
            value_model=value,
            train_dataset=Dataset.from_dict({"input_ids": repeated}),
        )
        began = time.process_time()
        trainer.train()
        print(time.process_time() - began)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
