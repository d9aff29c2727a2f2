"""What of a model is trained, as tests say it."""

from cai_kedro.models.adapters import AdapterParams, LoRAParams

WHOLE = AdapterParams(adapter="none", lora=LoRAParams(rank=4, alpha=16, targets=None))
LORA = WHOLE.model_copy(update={"adapter": "lora"})
