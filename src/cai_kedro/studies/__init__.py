"""Whole chains for several seeds and settings, what they say together, and whether the paper's claims hold."""
