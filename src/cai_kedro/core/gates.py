"""Bars that a run has to pass, as its parameters say."""


class GateClosed(ValueError):  # noqa: N818 - a result of the run, no error of the program
    """A run that does not pass a bar of its parameters: it ends with this sentence, and without a traceback."""
