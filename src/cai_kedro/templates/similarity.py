"""Which texts are about nearly the same thing: those that share rare words."""

import re
from collections.abc import Sequence

import numpy as np
from scipy import sparse

_SAME = 1 - 1e-9


def word_vectors(texts: Sequence[str]) -> sparse.csr_array:
    """Return tf-idf vectors of unit length, so that a dot product is a cosine: (texts, words)."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    places = {word: place for place, word in enumerate(sorted({word for of_text in words for word in of_text}))}
    rows = [row for row, of_text in enumerate(words) for _ in of_text]
    columns = [places[word] for of_text in words for word in of_text]
    counts = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(places))).tocsr()
    rarity = np.log((1 + len(texts)) / (1 + np.bincount(counts.indices, minlength=len(places)))) + 1
    weighted = counts.multiply(rarity).tocsr()
    lengths = np.sqrt(weighted.multiply(weighted).sum(axis=1))
    return weighted.multiply(1 / np.maximum(lengths, 1e-12)[:, None]).tocsr()


def most_similar(vectors: sparse.csr_array, at: int, n: int) -> list[int]:
    """Return the places of the `n` vectors nearest to the one at `at`, best first, without those that are equal."""
    cosines = (vectors @ vectors[[at]].T).toarray().ravel()
    order = np.argsort(-cosines, kind="stable")
    return [int(place) for place in order if cosines[place] < _SAME][:n]
