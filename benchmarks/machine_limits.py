"""What one thread of this machine can do, for the shares in docs/benchmarks.md: large products and a large copy."""

import torch
from measure import arguments, in_turns

SIZE, MIB = 1024, 256


def main() -> None:
    """Print the fastest of the repetitions: GFLOP/s in both precisions, GB/s read and written."""
    asked = arguments(__doc__)
    single = torch.randn(SIZE, SIZE)
    half, source = single.bfloat16(), torch.ones(MIB << 18)
    target = torch.empty_like(source)
    runs = [lambda: single @ single, lambda: half @ half, lambda: target.copy_(source)]
    fp32, bf16, copy = (min(seconds) for seconds in in_turns(runs, asked.repeats))
    print(f"float32 {2 * SIZE**3 / fp32 / 1e9:.0f} GFLOP/s, bfloat16 {2 * SIZE**3 / bf16 / 1e9:.0f} GFLOP/s, ", end="")
    print(f"copy {2 * MIB * 2**20 / copy / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
