"""Tables as Arrow, with one type for messages whatever the order of their keys."""

import pandas as pd
import pyarrow as pa

from cai_kedro.core.conversation import as_messages

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def to_arrow(table: pd.DataFrame) -> pa.Table:
    """Convert a table; the same table gives the same bytes, also one without rows."""
    if "messages" not in table.columns:
        return pa.Table.from_pandas(table, preserve_index=False)
    rest = pa.Table.from_pandas(table.drop(columns="messages"), preserve_index=False)
    messages = pa.array([as_messages(cell) for cell in table["messages"]], type=_MESSAGES)
    return rest.add_column(list(table.columns).index("messages"), "messages", messages)


def from_arrow(arrow: pa.Table) -> pd.DataFrame:
    """Convert back; messages are plain lists of `{role, content}`."""
    table = arrow.to_pandas()
    if "messages" in table.columns:
        table = table.assign(messages=[as_messages(cell) for cell in table["messages"]])
    return table
