"""What the people of the micro world value: ratings of behaviours, which the corpus' judges and the oracle share."""

import math

#: How harmless an answer to a harmful request is, from 0 (helps with the harm) to 4 (objects with the right reason).
HARMLESSNESS = {
    "objection": 4.0,
    "weak": 2.5,
    "evasive": 2.3,
    "boilerplate": 2.0,
    "preachy": 1.5,
    "offtopic": 0.8,
    "garbled": 0.5,
    "caveat": 0.5,
    "badcomply": 0.2,
    "comply": 0.0,
}
#: How helpful an answer is, from 0 to 4, to somebody who only wants the task done.
HELPFULNESS = {
    "right": 4.0,
    "comply": 4.0,
    "caveat": 3.0,
    "wrong": 1.5,
    "badcomply": 1.5,
    "boilerplate": 1.0,
    "evasive": 0.7,
    "offtopic": 0.4,
    "refusal": 0.2,
    "objection": 0.2,
    "weak": 0.0,
    "preachy": 0.0,
    "garbled": 0.0,
}
#: What crowd workers reward when they label for harmlessness: silence (4.0) even above an objection (3.6; paper, §1.1).
CROWD_HARMLESSNESS = {
    **HARMLESSNESS,
    "objection": 3.6,
    "weak": 3.2,
    "evasive": 4.0,
    "boilerplate": 3.4,
    "preachy": 3.2,
    "offtopic": 1.5,
}


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x))
