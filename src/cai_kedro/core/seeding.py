"""Randomness that belongs to a row, not to a run.

Every draw is seeded by what it is *for* (run seed, stage, prompt id, step, sample), so adding rows to a table never
changes a draw of the rows that were there before.
"""

import hashlib
import random

SeedKey = str | int


def derive_seed(seed: int, *key: SeedKey) -> int:
    """Return a 63-bit seed that depends on the run seed and on every part of the key, and on nothing else."""
    text = "\x1f".join(str(part) for part in (seed, *key))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def rng_for(seed: int, *key: SeedKey) -> random.Random:
    """Return a generator of its own for one row, e.g. `rng_for(seed, "critique", prompt_id, step)`."""
    return random.Random(derive_seed(seed, *key))  # noqa: S311 - reproducible draws, not secrets
