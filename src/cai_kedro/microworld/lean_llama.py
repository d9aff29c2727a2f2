"""The forward pass of a small Llama for training on a CPU: the library's weights and results, fewer passes over memory.

At the size of the micro LM the library's layers spend more time on casts and on norms in small steps than on products.
Here queries, keys and values are one product, gate and up another, norms one operation; products are in bfloat16.
"""

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM


def _rotated(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = states.chunk(2, -1)
    return states * cosines + torch.cat([-second, first], -1) * sines


def last_hidden_states(model: LlamaForCausalLM, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the states behind the last norm, fp32: (rows, tokens) ids, (rows, 1, tokens, tokens) additive mask.

    Positions count from the start of a row, as in the library without `position_ids`.
    """
    llama = model.model
    rows, tokens = ids.shape
    first = llama.layers[0].self_attn
    width: int = first.head_dim
    heads, kv_heads = first.q_proj.out_features // width, first.k_proj.out_features // width
    eps, low = model.config.rms_norm_eps, torch.bfloat16
    hidden = functional.embedding(ids, llama.embed_tokens.weight)
    cosines, sines = (
        table[0, :, None].to(low) for table in llama.rotary_emb(hidden, torch.arange(tokens)[None])
    )  # (tokens, 1, width)
    bias = mask.to(low)

    def normed(states: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(states, states.shape[-1:], weight, eps)

    for layer in llama.layers:
        attention, mlp = layer.self_attn, layer.mlp
        projections = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]).to(low)
        qkv = functional.linear(normed(hidden, layer.input_layernorm.weight).to(low), projections)
        qkv = qkv.view(rows, tokens, heads + 2 * kv_heads, width)
        turned = _rotated(qkv[:, :, : heads + kv_heads], cosines, sines).transpose(1, 2)
        # the query heads of one key head side by side: (rows, kv heads, group, tokens, width)
        queries = turned[:, :heads].reshape(rows, kv_heads, -1, tokens, width) * width**-0.5
        keys = turned[:, heads:, None]
        values = qkv[:, :, heads + kv_heads :].transpose(1, 2)[:, :, None]
        weights = (queries @ keys.mT + bias[:, :, None]).softmax(-1)
        read = (weights @ values).flatten(1, 2).transpose(1, 2).reshape(rows, tokens, -1)
        hidden = hidden + functional.linear(read, attention.o_proj.weight.to(low))
        gate_and_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).to(low)
        gate, up = functional.linear(normed(hidden, layer.post_attention_layernorm.weight).to(low), gate_and_up).chunk(
            2, -1
        )
        hidden = hidden + functional.linear(functional.silu(gate) * up, mlp.down_proj.weight.to(low))
    return normed(hidden, llama.norm.weight)
