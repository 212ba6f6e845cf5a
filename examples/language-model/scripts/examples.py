#!/usr/bin/env python3
"""Public data sets as examples to learn from: train.jsonl, valid.jsonl and test.jsonl for `goft-lm train` and `compare`.

    examples.py svamp SVAMP.json OUT_DIR
    examples.py gsm8k train.jsonl test.jsonl OUT_DIR
    examples.py self-instruct seed_tasks.jsonl user_oriented_instructions.jsonl OUT_DIR

svamp (Patel et al. 2021, arXiv 2103.07191; MIT): one file of 1000 sums in words, some of which tell one story with other numbers, so
that they are parted as they stand: the first 700 are learned from, 100 validate, 200 test. The answer is written as a sum and, as
GSM8K has it, the number behind ####.
gsm8k (Cobbe et al. 2021, arXiv 2110.14168; MIT): comes with a test split; every tenth of the others validates. Its notes to a
calculator, <<..>>, are taken out.
self-instruct (Wang et al. 2022, arXiv 2212.10560; Apache-2.0; github.com/yizhongw/self-instruct, data/ and human_eval/): the 427
instructions there that people wrote, with the first of their answers. Of five in a row three are learned from, one validates, one tests.
"""
import json, os, re, sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def number(value):
    return str(int(value)) if float(value).is_integer() else str(value)


def svamp(path):
    with open(path, encoding="utf-8") as file:
        problems = json.load(file)
    for index, problem in enumerate(problems):
        body = problem["Body"].strip()
        question = f"{body}{'' if body.endswith(('.', '?', '!')) else '.'} {problem['Question'].strip()}"
        numbers = re.sub(r"\d+\.\d+", lambda found: number(float(found.group())), problem["Equation"])
        equation = re.sub(r"^\( | \)$", "", numbers)
        answer = number(problem["Answer"])
        split = "train" if index < 700 else "valid" if index < 800 else "test"
        yield split, {"prompt": question, "completion": f"{equation} = {answer}\n#### {answer}"}


def gsm8k(train, test):
    for split, path in (("train", train), ("test", test)):
        for index, problem in enumerate(lines(path)):
            part = "valid" if split == "train" and index % 10 == 9 else split
            yield part, {"prompt": problem["question"], "completion": re.sub(r"<<.*?>>", "", problem["answer"])}


def self_instruct(seeds, users):
    for index, task in enumerate(lines(seeds) + lines(users)):
        example = task["instances"][0]
        asked = [part.strip() for part in (task["instruction"], example["input"]) if part.strip()]
        split = ("train", "train", "train", "valid", "test")[index % 5]
        yield split, {"prompt": "\n\n".join(asked), "completion": example["output"].strip()}


KNOWN = {"svamp": (svamp, 1), "gsm8k": (gsm8k, 2), "self-instruct": (self_instruct, 2)}
name, *paths = sys.argv[1:] or [""]
if name not in KNOWN or len(paths) != KNOWN[name][1] + 1:
    sys.exit(__doc__)
*read, out = paths
os.makedirs(out, exist_ok=True)
files = {name: open(os.path.join(out, f"{name}.jsonl"), "w", encoding="utf-8") for name in ("train", "valid", "test")}
counts = dict.fromkeys(files, 0)
for split, example in KNOWN[name][0](*read):
    files[split].write(json.dumps(example, ensure_ascii=False) + "\n")
    counts[split] += 1
print(", ".join(f"{count} to {name}" for name, count in counts.items()))
