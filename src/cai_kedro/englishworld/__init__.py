"""A world of plain English with a known truth: requests, answers and principles that a grammar writes and reads."""
