"""What trains: supervised fine-tuning, preference models, and in `rl` the algorithms that make a policy."""
