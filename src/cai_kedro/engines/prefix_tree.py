"""Which tokens of a batch are the same in several rows, so that they are read once: pure functions on token ids.

A batch is read level by level. The first level may be what all rows begin with (few-shots), the next ones what groups
of rows go on with (two orders of one comparison, several samples of one prompt), the last is what a row has of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

SHORTEST = 8  # fewer common tokens do not pay for copying the keys and values that they are read on


@dataclass(frozen=True)
class Level:
    """What is read at once: `segments[i]` goes on from node `parents[i]` of the level before; it may be empty."""

    segments: list[list[int]]
    parents: list[int]

    @property
    def width(self) -> int:
        """Tokens of the longest segment: what every node takes up once padded."""
        return max(map(len, self.segments))


@dataclass(frozen=True)
class _Node:
    rows: list[int]  # in lexicographic order
    start: int
    end: int  # its rows have the same tokens up to here; where it is the start, they go on one by one


def tokens_read(levels: Sequence[Level]) -> int:
    """Return how many tokens a model computes to read these levels, padding included."""
    return sum(len(level.segments) * level.width for level in levels)


def one_level(rows: Sequence[Sequence[int]]) -> list[Level]:
    """Return the plan that shares nothing."""
    return [Level([list(row) for row in rows], [0] * len(rows))]


def plan_levels(rows: Sequence[Sequence[int]], own: int, widest: int) -> list[Level]:
    """Return the levels that read these rows with the fewest tokens, padding included; node i of the last is row i.

    Every row keeps its last `own` tokens for the last level, so that it has logits there. The padded widths of all
    levels together stay within `widest`; a plan that shares nothing is always allowed.
    """
    tree = _tree(rows, own)
    # down to some level, or what a level shares at once: less padding where little stands above it
    plans = [_plan(rows, tree[:depth]) for depth in range(1, len(tree) + 1)]
    plans += [_plan(rows, [[replace(node, start=0) for node in nodes]]) for nodes in tree[1:]]
    allowed = [plan for plan in plans if sum(level.width for level in plan) <= widest]
    return min([one_level(rows), *allowed], key=tokens_read)


def _tree(rows: Sequence[Sequence[int]], own: int) -> list[list[_Node]]:
    """Return the nodes level by level, as long as a level has anything that several rows share."""
    ids = [np.asarray(row) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: list(rows[i]))
    shared = {pair: _common(ids[pair[0]], ids[pair[1]], own) for pair in pairwise(order)}
    levels: list[list[_Node]] = []
    nodes = _children(_Node(order, 0, 0), shared)
    while any(node.end > node.start for node in nodes):
        levels.append(nodes)
        nodes = [child for node in nodes for child in (_children(node, shared) if node.end > node.start else [node])]
    return levels


def _children(node: _Node, shared: dict[tuple[int, int], int]) -> list[_Node]:
    """Return the groups of a node's rows that go on together, and as one node without tokens the rows that do not."""
    groups = _groups(node, shared)
    alone = [row for group in groups if len(group) == 1 for row in group]
    together = [_node(group, node.end, shared) for group in groups if len(group) > 1]
    return [*together, _Node(alone, node.end, node.end)] if alone else together


def _groups(node: _Node, shared: dict[tuple[int, int], int]) -> list[list[int]]:
    """Cut a node's rows between neighbours that have too little in common beyond its end."""
    groups = [[node.rows[0]]]
    for pair in pairwise(node.rows):
        if shared[pair] >= node.end + SHORTEST:
            groups[-1].append(pair[1])
        else:
            groups.append([pair[1]])
    return groups


def _node(group: list[int], start: int, shared: dict[tuple[int, int], int]) -> _Node:
    # what sorted rows have in common is what every two neighbours have in common
    return _Node(group, start, min(shared[pair] for pair in pairwise(group)))


def _common(a: np.ndarray, b: np.ndarray, own: int) -> int:
    """Return how many tokens two rows begin with together, at most all but `own` of either."""
    n = min(len(a), len(b))
    differ = np.flatnonzero(a[:n] != b[:n])
    return max(0, min(int(differ[0]) if len(differ) else n, n - own))


def _plan(rows: Sequence[Sequence[int]], tree: Sequence[Sequence[_Node]]) -> list[Level]:
    """Write the first levels of a tree and, as the last level, what is left of every row."""
    levels = []
    node_of, read = [0] * len(rows), [0] * len(rows)
    for nodes in tree:
        first = [node.rows[0] for node in nodes]
        segments = [list(rows[i][node.start : node.end]) for i, node in zip(first, nodes, strict=True)]
        levels.append(Level(segments, [node_of[i] for i in first]))
        for number, node in enumerate(nodes):
            for i in node.rows:
                node_of[i], read[i] = number, node.end
    return [*levels, Level([list(row[n:]) for row, n in zip(rows, read, strict=True)], node_of)]
