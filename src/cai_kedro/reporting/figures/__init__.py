"""The figures of the report: pure functions, metrics or tables in, one plotly figure out.

A figure carries what is written beside it in `layout.meta`: its `title`, what the `paper` found, and what this run
`found`, computed from the run's own numbers (`style.explained`).
"""
