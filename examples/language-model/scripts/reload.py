#!/usr/bin/env python3
"""What others make of a folder that `goft-lm merge` wrote.

    pip install torch transformers gguf
    reload.py MERGED goft-lm [--original MODEL] [--prompt TEXT]..

Checks that transformers loads it without a tensor missing or left over, that its greedy answers are those of `goft-lm generate`, and
that gguf, which converters to that format use, knows the name of every tensor. With --original, a folder or a name on the hub, also
that tensors, dtypes and shapes are those of the original. Without --prompt it asks two questions of its own.
"""
import argparse, json, os, subprocess, sys
from safetensors import safe_open

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("merged")
parser.add_argument("program")
parser.add_argument("--original")
parser.add_argument("--prompt", action="append")
parser.add_argument("--tokens", type=int, default=32)
options = parser.parse_args()
failed = []


def said(holds, what):
    print(f"{'holds' if holds else 'FAILS'}: {what}")
    if not holds:
        failed.append(what)


def tensors(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(folder, name), framework="pt") as file:
                for key in file.keys():
                    part = file.get_slice(key)
                    found[key] = (part.get_dtype(), tuple(part.get_shape()), name)
    return found


def of_gguf():
    import gguf

    with open(os.path.join(options.merged, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    kinds = {"llama": "LLAMA", "mistral": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3", "gemma2": "GEMMA2", "gemma3_text": "GEMMA3",
             "phi3": "PHI3", "olmo2": "OLMO2"}
    kind = gguf.MODEL_ARCH[kinds[config["model_type"]]]
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    unknown = [name for name in tensors(options.merged) if names.get_name(name, try_suffixes=(".weight", ".bias")) is None]
    said(not unknown, f"gguf {'knows every name' if not unknown else f'knows no {unknown[:3]}'}")


def of_transformers():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, report = AutoModelForCausalLM.from_pretrained(options.merged, dtype=torch.float32, output_loading_info=True)
    head = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    amiss = [key for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if set(report.get(key, ())) - head]
    said(not amiss, f"transformers loads it{'' if not amiss else f' with {amiss}: {report}'}")
    tokenizer = AutoTokenizer.from_pretrained(options.merged)
    for prompt in options.prompt or ["What is the capital of France?", "How many legs do three dogs have?"]:
        text = prompt
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template).input_ids
        output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=options.tokens)
        theirs = tokenizer.decode(output[0, ids.shape[1]:], skip_special_tokens=True).strip()
        ours = subprocess.run([options.program, "generate", "--model", options.merged, "--prompt", prompt, "--max-tokens",
                               str(options.tokens)], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
        said(ours == theirs, f"{prompt!r} is answered {theirs!r}{'' if ours == theirs else f' there and {ours!r} here'}")


if options.original:
    if not os.path.isdir(options.original):
        from huggingface_hub import snapshot_download

        options.original = snapshot_download(options.original)
    said(tensors(options.original) == tensors(options.merged), "tensors, dtypes, shapes and files are those of the original")
of_gguf()
of_transformers()
sys.exit(1 if failed else 0)
