"""How long it takes to drop what is nearly there already, by ROUGE-L, and whether anything is missed.

    python benchmarks/near_duplicates.py --sizes 1000 10000 50000 360000

The texts are made: chains of words over the English prompts of this project, in which some words are replaced by rare
made-up ones, and a tenth of them is a variant of another. Prints for each size the CPU seconds with candidate blocking,
and up to `--compare` texts those of comparing each with each by the same library, and the recall of the blocking.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from itertools import accumulate, pairwise
from pathlib import Path

import yaml
from rapidfuzz import process
from rapidfuzz.distance import Indel

from cai_kedro.metrics.rouge import near_duplicates, rouge_words

PROJECT = Path(__file__).parents[1]
THRESHOLD = 0.7
_MADE_UP = 60_000


def english_texts() -> list[str]:
    """Return the seed tasks and the prompts in English."""
    texts = list(yaml.safe_load((PROJECT / "conf/base/self_align/english/seed_tasks.yml").read_text(encoding="utf-8")))
    for file in sorted((PROJECT / "data/01_raw/english").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            texts += [turn["content"] for turn in json.loads(line)["messages"] if turn["role"] == "user"]
    return texts


class Writer:
    """Writes texts that look like prompts: the words follow one another as in the given texts."""

    def __init__(self, texts: list[str], seed: int) -> None:
        self._rng = random.Random(seed)
        self._next: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            words = ["", *text.split(), ""]
            for word, following in pairwise(words):
                self._next[word].append(following)
        # as frequent as words of a language: the n-th has a share of 1 / n
        self._weights = list(accumulate(1 / (n + 1) for n in range(_MADE_UP)))

    def text(self) -> str:
        """Write one, of 4 to 150 words."""
        words: list[str] = []
        while len(words) < 4:
            words, word = [], self._rng.choice(self._next[""])
            while word and len(words) < 150:
                rare = len(word) > 4 and self._rng.random() < 0.3
                words.append(self._made_up() if rare else word)
                word = self._rng.choice(self._next[word])
        return " ".join(words)

    def variant(self, text: str) -> str:
        """Change one or two words of a text."""
        words = text.split()
        for _ in range(self._rng.randint(1, 2)):
            words[self._rng.randrange(len(words))] = self._made_up()
        return " ".join(words)

    def texts(self, n: int) -> list[str]:
        """Write n, a tenth of them variants."""
        written: list[str] = []
        while len(written) < n:
            again = written and self._rng.random() < 0.1
            written.append(self.variant(self._rng.choice(written)) if again else self.text())
        return written

    def _made_up(self) -> str:
        return f"x{self._rng.choices(range(_MADE_UP), cum_weights=self._weights)[0]}"


def each_with_each(texts: list[str]) -> list[bool]:
    """Return which texts are dropped where each is compared with all that are kept."""
    codes: dict[str, int] = {}
    kept: list[str] = []
    dropped = []
    for text in texts:
        words = "".join(chr(0xE000 + codes.setdefault(word, len(codes))) for word in rouge_words(text))
        # the least above 0.7 that texts of 150 words can have is 211 / 301
        near = process.extractOne(words, kept, scorer=Indel.normalized_similarity, score_cutoff=THRESHOLD + 1e-6)
        dropped.append(near is not None)
        if near is None:
            kept.append(words)
    return dropped


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--compare", type=int, default=10_000, help="compare each with each up to so many texts")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        texts = Writer(english_texts(), arguments.seed).texts(size)
        words = sum(len(text.split()) for text in texts) / size
        began = time.process_time()
        dropped = [near is not None for near in near_duplicates([], texts, THRESHOLD)]
        seconds = time.process_time() - began
        line = f"{size} texts of {words:.1f} words: {sum(dropped)} dropped in {seconds:.1f} s"
        if size <= arguments.compare:
            began = time.process_time()
            expected = each_with_each(texts)
            whole = time.process_time() - began
            found = sum(a and b for a, b in zip(dropped, expected, strict=True))
            line += f"; each with each {whole:.1f} s, recall {found}/{sum(expected)}"
            line += "" if dropped == expected else ", and other texts are dropped"
        print(line, flush=True)


if __name__ == "__main__":
    main()
