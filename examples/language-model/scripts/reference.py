#!/usr/bin/env python3
"""Writes what transformers computes of a chat model, for `tests/laws/pretrained.rs`.

    pip install torch transformers
    python3 scripts/reference.py MODEL_DIR OUT.json
"""
import json, sys
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTIONS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "system", "content": "You answer in one word."}, {"role": "user", "content": "Is the sky blue?"},
     {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Is grass red?"}],
    [{"role": "user", "content": "Schreibe einen Satz über Bären, 12 + 30 = ?\n\tπ ≈ 3.14"}],
]

folder, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
rows = []
for messages in QUESTIONS:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(ids).logits[0]
        answer = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False)[0, ids.shape[1]:]
    chosen = logits[:-1].log_softmax(-1).gather(1, ids[0, 1:, None])
    rows.append({
        "messages": messages, "text": text, "ids": ids[0].tolist(), "log_probability": round(chosen.sum().item(), 4),
        "logits": [round(x, 5) for x in logits[-1, :64].tolist()], "answer": answer.tolist(),
        "answer_text": tokenizer.decode(answer, skip_special_tokens=True),
    })
with open(out, "w") as file:
    json.dump({"transformers": transformers.__version__, "rows": rows}, file, ensure_ascii=False, indent=1)
