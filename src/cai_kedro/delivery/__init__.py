"""What is done with a trained policy: it becomes a directory that other programs read, or somebody talks to it."""
