"""What trains: supervised fine-tuning, preference models, PPO."""
