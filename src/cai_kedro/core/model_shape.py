"""The sizes of a language model that time and memory depend on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder: layers, width of the states, width inside the MLP, heads, heads of keys, their width."""

    parameters: int
    embeddings: int
    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    head_width: int
    vocabulary: int

    @property
    def linear_parameters(self) -> int:
        """The weights of the linear layers of the trunk, whose MLP is taken to have three."""
        queries, keys = self.heads * self.head_width, self.key_heads * self.head_width
        each = self.width * (2 * queries + 2 * keys + 3 * self.inner)
        return min(self.layers * each, self.parameters - self.embeddings)

    def adapter_parameters(self, rank: int) -> int:
        """Return the weights of an adapter of that rank on all linear layers of the trunk."""
        queries, keys = self.heads * self.head_width, self.key_heads * self.head_width
        attention = 2 * (self.width + queries) + 2 * (self.width + keys)
        return self.layers * rank * (attention + 3 * (self.width + self.inner))
