"""Whether a critique finds fault with a response, by the words of its verdict (§3.1).

**Definition.** A critique finds nothing where it says so: that it is fine, that nothing in or about it is so, that it
has nothing to do with it, that it is so already. Every other critique finds fault. That is how the critiques of the
English world end (`englishworld/lexicon/critic.yml`), and so those of a model that was taught on them. Of a model that
was not taught, a critique that rambles counts as finding fault: read this figure beside whether critiques name the act.
"""

import re

_FINE = re.compile(
    r"\b(?:it|this|that)(?: is|'s) (?:all |quite |perfectly )?(?:fine|okay|ok)\b"
    r"|\bnothing (?:is wrong|wrong|about it|in (?:it|the (?:answer|reply|response)))\b"
    r"|\b(?:has|have) nothing to do with\b"
    r"|\balready\s*[.!]?\s*$"
    r"|\bno(?:thing)? (?:fault|harm|problem)s? (?:in|with|about) (?:it|this|that|the (?:answer|reply|response))\b",
    re.IGNORECASE,
)


def finds_fault(critique: str) -> bool:
    """Tell whether a critique finds something to change; an empty one finds nothing."""
    return bool(critique.strip()) and not _FINE.search(critique.replace("’", "'"))
