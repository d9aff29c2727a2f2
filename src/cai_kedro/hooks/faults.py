"""What is wrong before a run, told without a traceback."""

from collections.abc import Iterable

import click

from cai_kedro.core.text import visible


class PreflightError(click.ClickException):
    """What is wrong before a run, one line each, or which bar ended it. The command line shows no traceback of it."""

    def format_message(self) -> str:
        """Return the lines; control characters of what people wrote do not reach the terminal."""
        return visible(self.message)


def raise_if_any(faults: Iterable[str]) -> None:
    """Raise one error that tells all of them."""
    found = list(dict.fromkeys(faults))
    if len(found) == 1:
        raise PreflightError(f"nothing was run: {found[0]}")
    if found:
        raise PreflightError("nothing was run, there is more than one fault:\n" + "\n".join(f"- {f}" for f in found))
