"""A key/value cache of a known size: a new token is written in place, nothing that came before is copied."""

from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer


class PreallocatedLayer(CacheLayerMixin):
    """One attention layer's keys and values in buffers (rows, heads, capacity, width), of which a prefix is filled.

    `DynamicLayer` concatenates at every token. Here `keys` and `values` are views of the filled part.
    """

    is_croppable = True

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate the buffers, in the shape and dtype of the first states."""
        self._keys = self._allocate(key_states)
        self._values = self._allocate(value_states)
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def _allocate(self, states: Tensor) -> Tensor:
        rows, heads, _, width = states.shape
        return states.new_empty((rows, heads, self.capacity, width))

    @property
    def filled(self) -> tuple[Tensor, Tensor]:
        """The keys and values stored so far, views: (rows, heads, length, width)."""
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def _set_length(self, length: int) -> None:
        self.length = length
        self.keys, self.values = self.filled

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append (rows, heads, new, width) and return the filled part."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[-2]
        if end > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} tokens a row, {end} were to be stored")
        self._keys[:, :, self.length : end] = key_states
        self._values[:, :, self.length : end] = value_states
        self._set_length(end)
        return self.filled

    def skip(self, tokens: int) -> None:
        """Leave so many places free in every row, as if padding had been read; attention must not see them."""
        start, end = self.length, self.length + tokens
        self._keys[:, :, start:end] = 0  # uninitialised memory may hold NaN, which a weight of 0 would not remove
        self._values[:, :, start:end] = 0
        self._set_length(end)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the length and the offset of the keys that a query of this length will see."""
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many tokens a row are stored."""
        return self.length

    def get_max_length(self) -> int:
        """Return how many tokens a row can be stored."""
        return self.capacity

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens of every row; only the number's size counts."""
        if self.is_initialized:
            self._set_length(self.length - abs(tokens_to_remove))

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Go on with these rows, in this order, some of them several times; empty space is not copied."""
        if not self.is_initialized:
            return
        self._keys = self._kept(self._keys, beam_idx)
        self._values = self._kept(self._values, beam_idx)
        self._set_length(self.length)

    def _kept(self, buffer: Tensor, rows: Tensor) -> Tensor:
        kept = buffer.new_empty((len(rows), *buffer.shape[1:]))
        kept[:, :, : self.length] = buffer[:, :, : self.length].index_select(0, rows)
        return kept


def allocate_cache(model: PreTrainedModel, capacity: int) -> Cache:
    """Return an empty cache for `capacity` tokens a row; layers that do not keep every token stay what they are."""
    cache = DynamicCache(config=model.config)
    if not cache.layers:
        raise ValueError(f"{type(model).__name__} does not say how many layers its cache needs")
    # an exact type: sliding windows and recurrent states derive from DynamicLayer and keep less than every token
    cache.layers = [PreallocatedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def can_rewind(model: PreTrainedModel) -> bool:
    """Say whether this model's cache keeps every token, so that tokens can be forgotten, or read for other rows too."""
    return all(isinstance(layer, PreallocatedLayer) for layer in allocate_cache(model, 1).layers)
