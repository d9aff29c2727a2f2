"""Text engines: sample completions and read the log-probabilities of choices."""
