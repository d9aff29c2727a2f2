"""The micro world: a small language with a known truth, its corpus, and the oracle that knows the truth."""
