"""The micro LM's tokenizer: byte-level BPE trained on the corpus, with the Human/Assistant chat template."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cai_kedro.core.conversation import HH_CHAT_TEMPLATE

PAD, EOS = "<pad>", "<eos>"

# A blank line, a word with its space, a line break, a number, a run of marks: a name in any frame is one unit, so
# that copying an object is copying one token.
_UNITS = r"\n\n| ?[A-Za-z]+(?:'[a-z]+)?|\n| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a BPE tokenizer of at most `vocab_size` tokens; EOS also opens every sequence."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_UNITS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, EOS],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=EOS,
        bos_token=EOS,
        padding_side="left",
        chat_template=HH_CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
