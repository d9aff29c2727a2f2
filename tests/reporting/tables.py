"""Small tables of every kind that the report reads, with texts a test decides."""

from typing import Any

import pandas as pd

#: What must stay text: markup, the end of a script element, handlers, escapes for terminals, invisible characters.
HOSTILE = (
    '<script>window.hacked=1</script></script><!-- <img src=x onerror="window.hacked=2"> --><b>bold</b> &amp; &lt; '
    "${1} $css \x1b[31mred\x1b[0m \u202eright to left\u202c \u2028 \x00 ]]> 'quoted' \\u003c"
)
POLICIES = ("helpful_rlhf", "rl_cai")


def prompts(texts: list[str], name: str = "p", split: str = "combination") -> pd.DataFrame:
    rows = [
        {
            "prompt_id": f"{name}-{place}",
            "messages": [{"role": "user", "content": text}],
            "source": "given",
            "split": split,
        }
        for place, text in enumerate(texts)
    ]
    return pd.DataFrame(rows)


def judgements(asked: pd.DataFrame, answers: dict[str, list[tuple[str, str]]]) -> pd.DataFrame:
    """`answers`: policy → (response, behaviour) for every prompt."""
    rows = [
        {
            "policy": policy,
            "prompt_id": prompt_id,
            "sample": 0,
            "axis": "harmlessness",
            "split": "combination",
            "category": None,
            "response": response,
            "behaviour": behaviour,
            "rating": 4.0 if behaviour == "objection" else 0.0,
        }
        for policy, given in answers.items()
        for prompt_id, (response, behaviour) in zip(asked["prompt_id"], given, strict=True)
    ]
    return pd.DataFrame(rows)


def prompt_axes(asked: pd.DataFrame, axis: str = "harmlessness") -> pd.DataFrame:
    return asked[["prompt_id"]].assign(axis=axis)


def responses(asked: pd.DataFrame, texts: list[str], policy: str = "helpful_rlhf") -> pd.DataFrame:
    return pd.DataFrame({"prompt_id": asked["prompt_id"], "sample": 0, "policy": policy, "response": texts})


def revisions(rows: list[tuple[str, int, str, str | None, str]]) -> pd.DataFrame:
    """Rows of prompt id, step, principle, critique and revision."""
    table = pd.DataFrame(rows, columns=["prompt_id", "step", "principle_id", "critique", "revision"])
    return table.assign(sample=0)


def scores(rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    """Rows of arm, prompt id, step and score."""
    return pd.DataFrame(rows, columns=["arm", "prompt_id", "step", "score"]).assign(sample=0)


def comparisons(asked: pd.DataFrame, source: str = "ai", **columns: Any) -> pd.DataFrame:
    given = {
        "response_a": "Sure.",
        "response_b": "No.",
        "kind": "sampled",
        "principle_id": "less-harm",
        "p_a_better": 0.2,
        "p_a_first": 0.3,
        "p_a_second": 0.1,
        "thoughts": None,
        **columns,
    }
    return asked[["prompt_id", "messages"]].assign(
        pair_id=asked["prompt_id"] + ".0", objective="harmlessness", source=source, **given
    )


def estimate(value: float, low: float | None = None, high: float | None = None, n: int = 100) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n}


def summary() -> pd.DataFrame:
    rows = [
        ("helpful_rlhf", "harmlessness_elo", 0.0, None, None, 600),
        ("helpful_rlhf", "complies", 0.984, 0.96, 0.99, 600),
        ("rl_cai", "harmlessness_elo", 570.4, 546.0, 593.1, 600),
        ("rl_cai", "complies", 0.0, 0.0, 0.01, 600),
    ]
    return pd.DataFrame(rows, columns=["policy", "metric", "value", "low", "high", "n"])
