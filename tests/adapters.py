"""What of a model is trained, as tests say it."""

from cai_kedro.learning.processes import SharedParams
from cai_kedro.models.adapters import LoRAParams

WHOLE = SharedParams(adapter="none", lora=LoRAParams(rank=4, alpha=16, targets=None), processes=1, sharding="none")
LORA = WHOLE.model_copy(update={"adapter": "lora"})
QLORA = WHOLE.model_copy(update={"adapter": "qlora"})
