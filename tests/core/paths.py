"""Where the public data stand beside the repository, on machines that have them."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"
PAPER_PROMPTS = SHARED_DATA / "cai_paper" / "prompts"
HH_TEST = SHARED_DATA / "hh_rlhf" / "harmless-base-test.jsonl.gz"

needs_paper = pytest.mark.skipif(not PAPER_PROMPTS.is_dir(), reason=f"the paper's prompts are not at {PAPER_PROMPTS}")
needs_hh = pytest.mark.skipif(not HH_TEST.is_file(), reason=f"the hh-rlhf test split is not at {HH_TEST}")
