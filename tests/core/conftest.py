"""Property tests without a clock and without a memory: the same examples on every machine, however busy."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("steady")
