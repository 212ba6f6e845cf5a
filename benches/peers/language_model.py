#!/usr/bin/env python3
"""A language model's training step and generation, here and in PyTorch + PEFT, in turns.

    python3 -m venv .venv && .venv/bin/pip install torch transformers peft
    cargo build --release --package burn-goft-language-model
    .venv/bin/python benches/peers/language_model.py MODEL_DIR target/release/goft-lm [--rounds 3] [--device cpu|cuda]

Every measurement is a process of its own, ours and theirs one after the other, several rounds of all; the table has medians over
the rounds. A step is forward, backward and AdamW on random tokens that are all learned, every linear layer but the head adapted;
the peak is the largest resident set of the process (torch's own count on a GPU, where ours is not known). Both sides compute in
f32 with as many threads.
"""
import argparse, json, os, resource, statistics, subprocess, sys, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("program", nargs="?")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--length", type=int, default=256)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--tokens", type=int, default=128)
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--ours", nargs="*", default=["goft", "qgoft", "lora", "oft", "generate"])
parser.add_argument("--theirs", nargs="*", default=["lora", "oft", "generate"])
parser.add_argument("--peer", help=argparse.SUPPRESS)
options = parser.parse_args()

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peer(method):
    """One measurement in PyTorch, printed as JSON."""
    import torch
    from peft import LoraConfig, OFTConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    wait = torch.cuda.synchronize if options.device == "cuda" else (lambda: None)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device)
    times = []
    if method == "generate":
        ids = torch.randint(100, 40000, (1, 16), device=options.device)
        for _ in range(3):
            wait()
            start = time.perf_counter()
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=options.tokens,
                           min_new_tokens=options.tokens, do_sample=False)
            wait()
            times.append(time.perf_counter() - start)
        tokens, trainable = options.tokens, 0
    else:
        if method == "lora":
            model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=TARGETS))
        if method == "oft":
            model = get_peft_model(model, OFTConfig(r=0, oft_block_size=32, target_modules=TARGETS, use_cayley_neumann=True))
        model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
        ids = torch.randint(100, 40000, (options.batch, options.length), device=options.device)
        for step in range(options.steps + 2):
            wait()
            start = time.perf_counter()
            loss = model(input_ids=ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wait()
            if step > 1:
                times.append(time.perf_counter() - start)
        tokens, trainable = options.batch * options.length, sum(parameter.numel() for parameter in trained)
    seconds = statistics.median(times)
    row = {"method": method, "trainable": trainable, "seconds": seconds, "tokens_per_s": tokens / seconds}
    if options.device == "cuda":
        row["peak_mib"] = torch.cuda.max_memory_allocated() >> 20
    print(json.dumps(row))


def measured(command):
    """The last JSON line of a process, with the most memory that it had."""
    environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed; run it by itself to see why")
    row = json.loads([line for line in output.splitlines() if line.startswith("{")][-1])
    if options.device == "cpu":
        row["peak_mib"] = usage.ru_maxrss >> 10
    return row


def ours(method):
    device = "flex" if options.device == "cpu" else options.device
    command = [options.program, "bench", "--model", options.model, "--device", device]
    if method == "generate":
        return command + ["--tokens", str(options.tokens)]
    return command + ["--method", method, "--tokens", "0", "--batch-size", str(options.batch), "--length", str(options.length),
                      "--steps", str(options.steps)]


def theirs(method):
    return [sys.executable, os.path.abspath(__file__), options.model, "--peer", method, "--device", options.device,
            "--batch", str(options.batch), "--length", str(options.length), "--steps", str(options.steps),
            "--tokens", str(options.tokens), "--threads", str(options.threads)]


if options.peer:
    peer(options.peer)
    sys.exit()

plan = [("burn-goft", method, ours(method)) for method in options.ours] if options.program else []
plan += [("PyTorch + PEFT", method, theirs(method)) for method in options.theirs]
# Ours and theirs of one method stand beside each other in time.
plan.sort(key=lambda one: one[1])
rows = {}
for round in range(options.rounds):
    for who, method, command in plan:
        row = measured(command)
        rows.setdefault((method, who), []).append(row)
        print(f"round {round + 1}: {who}, {method}: {row['tokens_per_s']:.1f} tokens/s", file=sys.stderr)
print("| | | seconds | tokens/s | peak, MiB |")
print("|---|---|---:|---:|---:|")
for (method, who), found in rows.items():
    middle = lambda key: statistics.median(row[key] for row in found)
    peak = f"{middle('peak_mib'):.0f}" if all("peak_mib" in row for row in found) else ""
    print(f"| {method} | {who} | {middle('seconds'):.2f} | {middle('tokens_per_s'):.1f} | {peak} |")
