"""What is wrong with a catalog entry, one sentence for all its settings."""

from pydantic import ValidationError

_TOLD = {"extra_forbidden": "is unknown", "missing": "is missing"}


def entry_faults(error: ValidationError, *, values: bool = True) -> str:
    """Tell each fault by its setting, and what was given; without `values` where somebody may have put a key there."""
    return "; ".join(
        " ".join(
            part
            for part in (
                ".".join(map(str, fault["loc"])),
                _TOLD.get(fault["type"], fault["msg"]),
                f"(got {fault['input']!r})" if values and fault["type"] not in _TOLD else "",
            )
            if part
        )
        for fault in error.errors(include_url=False)
    )
