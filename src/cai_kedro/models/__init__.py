"""What of a model is trained: all weights, or an adapter (LoRA) on a backbone that stays as it is."""
