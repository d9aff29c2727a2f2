import torch
from transformers import LlamaConfig, LlamaForCausalLM

from cai_kedro.microworld.lean_llama import last_hidden_states


def test_it_gives_what_the_library_gives() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=60,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")
    ids = torch.randint(0, 60, (3, 40))
    document = torch.arange(40) // 25  # two documents a row, each sees itself only
    allowed = (document[:, None] == document[None]) & torch.ones(40, 40).tril().bool()
    mask = torch.zeros(3, 1, 40, 40).masked_fill_(~allowed, torch.finfo(torch.float32).min)

    exact = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.model(input_ids=ids, attention_mask=mask.bfloat16(), use_cache=False).last_hidden_state
    lean = last_hidden_states(model, ids, mask)
    assert (lean - exact).norm() < 1.5 * (rounded - exact).norm()  # no worse than the library in this precision

    for states in (exact, lean):
        model.zero_grad()
        states[:, 1:].square().sum().backward()
        gradient = model.model.layers[0].self_attn.k_proj.weight.grad
        assert gradient is not None
        if states is exact:
            wanted = gradient.clone()
    assert (gradient - wanted).norm() < 0.05 * wanted.norm()
