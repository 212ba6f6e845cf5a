#!/usr/bin/env python3
"""Makes tiny random models of every kind and what transformers computes of them.

    pip install torch transformers safetensors
    python3 scripts/tiny_models.py OUT_DIR [--seed N] [--kinds llama qwen3 ..]

OUT_DIR/KIND is a Hugging Face folder, and OUT_DIR/KIND/reference.json holds token ids and the logits of every position, of a model
in float64 (rotary angles, norms and softmax are float32 in transformers whatever the model).
"""
import argparse, json, os, shutil
import torch
from transformers import (
    AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig, Olmo2Config, Phi3Config, Qwen2Config, Qwen3Config,
)

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--kinds", nargs="*")
options = parser.parse_args()

SIZES = dict(
    vocab_size=40, hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)

# Windows, caps and scalings are small, so that they matter for a few tokens.
KINDS = {
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
    "llama3": LlamaConfig(
        **SIZES, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=8,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 16}),
    "mistral": MistralConfig(**SIZES, head_dim=8, sliding_window=4),
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True, use_sliding_window=False, sliding_window=3),
    "qwen2_window": Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "qwen3": Qwen3Config(**SIZES, head_dim=10, tie_word_embeddings=True),
    "gemma2": Gemma2Config(
        **SIZES, head_dim=8, sliding_window=4, query_pre_attn_scalar=10, attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "gemma3": Gemma3TextConfig(
        **{**SIZES, "num_hidden_layers": 3}, head_dim=8, sliding_window=4, query_pre_attn_scalar=10,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}),
    "phi3": Phi3Config(
        **SIZES, sliding_window=5, original_max_position_embeddings=32,
        rope_parameters={"rope_type": "longrope", "rope_theta": 1000.0, "short_factor": [1.0, 1.5, 2.0], "long_factor": [2.0, 3.0, 4.0],
                         "original_max_position_embeddings": 32}),
    "phi3_partial": Phi3Config(
        **SIZES, sliding_window=None, rope_parameters={"rope_type": "default", "rope_theta": 1000.0, "partial_rotary_factor": 0.67}),
    "olmo2": Olmo2Config(**SIZES),
}

# Folders from before transformers 5 spell the rotary parameters in another way.
OLD_SPELLING = {"llama", "mistral", "qwen2", "gemma2", "llama3", "gemma3", "phi3_partial"}
HALF_IN_SHARDS = {"qwen3", "llama3"}


def stir(model, generator):
    """Every parameter away from where it starts; matrices keep the size of what they multiply."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 2:
                parameter.copy_(noise * 1.2 / parameter.shape[1] ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(parameter + 0.2 * noise)


def spell_as_before(path):
    with open(path) as file:
        config = json.load(file)
    rope = config.pop("rope_parameters")
    full = rope.get("full_attention", rope)
    config["rope_theta"] = full.pop("rope_theta")
    if "sliding_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    if "partial_rotary_factor" in full:
        config["partial_rotary_factor"] = full.pop("partial_rotary_factor")
    config["rope_scaling"] = None if full["rope_type"] == "default" else full
    with open(path, "w") as file:
        json.dump(config, file, indent=1)


for place, (kind, config) in enumerate(KINDS.items()):
    if options.kinds and kind not in options.kinds:
        continue
    generator = torch.Generator().manual_seed(1000 * options.seed + place)
    folder = os.path.join(options.out, kind)
    shutil.rmtree(folder, ignore_errors=True)
    half = kind in HALF_IN_SHARDS
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    stir(model, generator)
    model = model.to(torch.bfloat16) if half else model
    model.save_pretrained(folder, max_shard_size="12KB" if half else "1GB")
    os.remove(os.path.join(folder, "generation_config.json"))
    if kind in OLD_SPELLING:
        spell_as_before(os.path.join(folder, "config.json"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    rows = []
    for length in (11, 6):
        ids = torch.randint(3, config.vocab_size, (1, length), generator=generator)
        with torch.no_grad():
            logits = model(ids).logits[0]
        rows.append({"ids": ids[0].tolist(), "logits": [[round(x, 7) for x in row] for row in logits.tolist()]})
    with open(os.path.join(folder, "reference.json"), "w") as file:
        json.dump({"transformers": __import__("transformers").__version__, "rows": rows}, file)
    print(kind, max(abs(x) for row in rows for at in row["logits"] for x in at), flush=True)
