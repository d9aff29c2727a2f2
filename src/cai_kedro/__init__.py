"""Constitutional AI, end to end: one constitution in, a harmless and non-evasive assistant out."""

__version__ = "0.2.0"
