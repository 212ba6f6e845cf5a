#!/usr/bin/env python3
"""A training step of a text classifier, here and in PyTorch + PEFT, in turns.

    python3 -m venv .venv && .venv/bin/pip install torch transformers peft
    cargo build --release --package burn-goft-text-classification
    .venv/bin/python benches/peers/text_classification.py MODEL_DIR target/release/text-classification [--rounds 3]

MODEL_DIR holds a BERT, such as all-MiniLM-L6-v2. Every measurement is a process of its own, ours and theirs one after the other,
several rounds of all; the table has medians over the rounds. A step is forward, backward and AdamW on texts of one length, every
linear layer of the encoder adapted, a head of two classes beside it. Both sides compute in f32 with as many threads. Theirs begins
with random weights of the model's shape, which take the same time.
"""
import argparse, json, os, random, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("program", nargs="?")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--length", type=int, default=32)
parser.add_argument("--steps", type=int, default=15)
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--ours", nargs="*", default=["linear-probe", "goft", "qgoft", "oft", "lora", "full"])
parser.add_argument("--theirs", nargs="*", default=["linear-probe", "oft", "lora", "full"])
parser.add_argument("--peer", help=argparse.SUPPRESS)
options = parser.parse_args()
WARM_UP = 5


def peer(method):
    """One measurement in PyTorch, printed as JSON."""
    import torch
    from peft import LoraConfig, OFTConfig, get_peft_model
    from transformers import AutoConfig, BertForSequenceClassification

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(options.model)
    config.num_labels, config.hidden_dropout_prob, config.attention_probs_dropout_prob = 2, 0.0, 0.0
    model = BertForSequenceClassification(config).to(options.device)
    targets = {"target_modules": ["query", "key", "value", "dense"], "modules_to_save": ["classifier"]}
    if method == "linear-probe":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("classifier" in name)
    if method == "lora":
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, **targets))
    if method == "oft":
        model = get_peft_model(model, OFTConfig(r=0, oft_block_size=32, use_cayley_neumann=True, **targets))
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    ids = torch.randint(1000, 30000, (options.batch, options.length), device=options.device)
    labels = torch.randint(0, 2, (options.batch,), device=options.device)
    wait = torch.cuda.synchronize if options.device == "cuda" else (lambda: None)
    times = []
    for step in range(options.steps + WARM_UP):
        wait()
        start = time.perf_counter()
        loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        wait()
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times[WARM_UP:])}))


def texts(folder):
    """Words that are a token each, so that all texts have the length asked for, two special tokens included."""
    with open(os.path.join(options.model, "tokenizer.json"), encoding="utf-8") as file:
        words = [word for word in json.load(file)["model"]["vocab"] if word.isalpha() and word.isascii() and len(word) > 3]
    draw = random.Random(0)
    paths = []
    for name, count in (("train.tsv", options.batch * 4), ("valid.tsv", 4)):
        paths.append(os.path.join(folder, name))
        with open(paths[-1], "w", encoding="utf-8") as file:
            for index in range(count):
                file.write(f"{'ab'[index % 2]}\t{' '.join(draw.choices(words, k=options.length - 2))}\n")
    return paths


def ours(method, folder):
    train, valid = texts(folder)
    out = os.path.join(folder, "run")
    device = "flex" if options.device == "cpu" else options.device
    run([options.program, "train", "--model", options.model, "--train", train, "--validation", valid, "--eval", valid, "--method", method,
         "--steps", str(options.steps + WARM_UP), "--batch-size", str(options.batch), "--out", out, "--device", device])
    with open(os.path.join(out, "log.jsonl"), encoding="utf-8") as file:
        steps = [line for line in map(json.loads, file) if line["event"] == "step"]
    return statistics.median(step["cost"]["seconds"] for step in steps[WARM_UP:])


def theirs(method):
    command = [sys.executable, os.path.abspath(__file__), options.model, "--peer", method, "--threads", str(options.threads),
               "--batch", str(options.batch), "--length", str(options.length), "--steps", str(options.steps), "--device", options.device]
    return json.loads(run(command).splitlines()[-1])["seconds"]


def run(command):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


if options.peer:
    peer(options.peer)
    sys.exit()

plan = [("burn-goft", method) for method in options.ours] if options.program else []
plan += [("PyTorch + PEFT", method) for method in options.theirs]
# Ours and theirs of one method stand beside each other in time.
plan.sort(key=lambda one: one[1])
found = {}
for turn in range(options.rounds):
    for who, method in plan:
        with tempfile.TemporaryDirectory() as folder:
            seconds = ours(method, folder) if who == "burn-goft" else theirs(method)
        found.setdefault((method, who), []).append(seconds)
        print(f"round {turn + 1}: {who}, {method}: {seconds:.3f} s", file=sys.stderr)
print("| | | seconds a step |\n|---|---|---:|")
for (method, who), seconds in found.items():
    print(f"| {method} | {who} | {statistics.median(seconds):.3f} |")
