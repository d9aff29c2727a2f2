"""A rollout that several processes make together: each its rows, and all have the whole of it afterwards."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from cai_kedro.learning import ranks
from cai_kedro.learning.replies import Replies
from cai_kedro.learning.rollouts import EncodedPrompts, Episodes, Reader

#: Draws a reply to each prompt by its seed and scores it: replies, and their scores (n,) on the CPU.
Draw = Callable[[EncodedPrompts, Sequence[int]], tuple[Replies, Tensor]]


def own_rows(number: int) -> range:
    """Return the rows of this process, of so many."""
    return range(ranks.rank(), number, ranks.world())


def drawn_by_all(draw: Draw, prompts: EncodedPrompts, seeds: Sequence[int]) -> tuple[Replies, Tensor]:
    """Return what `draw` gives for all prompts; each process draws for its own."""
    if ranks.world() == 1:
        return draw(prompts, seeds)
    own = own_rows(len(prompts))
    replies, scores = draw(prompts.rows(own), [seeds[row] for row in own])
    of_rows = zip(replies.written, replies.read, replies.ended.tolist(), scores.tolist(), strict=True)
    found = ranks.merged(dict(zip(own, of_rows, strict=True))).values()
    written, read, ended, scored = (list(column) for column in zip(*found, strict=True))
    return Replies(written, read, torch.tensor(ended, dtype=torch.bool)), torch.tensor(scored)


def read_by_all(episodes: Episodes, reader: Reader, max_batch_tokens: int) -> tuple[Tensor, ...]:
    """Return what `Episodes.read` does for all rows; each process reads its own."""
    if ranks.world() == 1:
        return episodes.read(reader, max_batch_tokens)
    device, width = episodes.mask.device, episodes.mask.shape[1]
    own = own_rows(len(episodes.mask))
    part = Episodes.from_batch(episodes.rows(torch.tensor(own, device=device)))
    figures = torch.stack(part.read(reader, max_batch_tokens), 1).cpu()  # (rows, figures, tokens)
    found = ranks.merged(dict(zip(own, figures, strict=True))).values()
    whole = torch.stack([functional.pad(each, (0, width - each.shape[1])) for each in found]).to(device)
    return tuple(whole.unbind(1))


def own_part(batch: Mapping[str, Tensor]) -> Episodes | None:
    """Return the rows of a minibatch that this process learns from, None where there is none."""
    episodes = Episodes.from_batch(batch)
    if ranks.world() == 1:
        return episodes
    own = own_rows(len(episodes.mask))
    return Episodes.from_batch(episodes.rows(torch.tensor(own, device=episodes.mask.device))) if own else None


def add_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Give every process the sum of the gradients of all."""
    for each in weights if ranks.world() > 1 else ():
        if each.grad is None:
            each.grad = torch.zeros_like(each)
        distributed.all_reduce(each.grad)


def add_figures(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of the figures of all processes, by name."""
    if ranks.world() == 1:
        return dict(figures)
    found = ranks.merged({ranks.rank(): dict(figures)}).values()
    names = dict.fromkeys(name for each in found for name in each)
    return {name: sum(each.get(name, 0.0) for each in found) for name in names}
