#!/usr/bin/env python3
"""Sums in words as examples to learn from: train.jsonl, valid.jsonl and test.jsonl for `goft-lm train` and `compare`.

    arithmetic.py svamp SVAMP.json OUT_DIR
    arithmetic.py gsm8k train.jsonl test.jsonl OUT_DIR

SVAMP (Patel et al. 2021, arXiv 2103.07191; MIT) is one file of 1000 problems, some of which tell one story with other numbers: the
first 700 are learned from, 100 validate, 200 test. Its answers are written as a sum and, as GSM8K has it, the number behind ####. GSM8K (Cobbe et al. 2021, arXiv
2110.14168; MIT) comes with a test split; every tenth of the others validates. Its notes to a calculator, <<..>>, are taken out.
"""
import json, os, re, sys


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
        with open(path, encoding="utf-8") as file:
            for index, line in enumerate(file):
                problem = json.loads(line)
                part = "valid" if split == "train" and index % 10 == 9 else split
                yield part, {"prompt": problem["question"], "completion": re.sub(r"<<.*?>>", "", problem["answer"])}


if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("svamp", "gsm8k"):
    sys.exit(__doc__)
examples = {"svamp": svamp, "gsm8k": gsm8k}[sys.argv[1]](*sys.argv[2:-1])
out = sys.argv[-1]
os.makedirs(out, exist_ok=True)
files = {name: open(os.path.join(out, f"{name}.jsonl"), "w", encoding="utf-8") for name in ("train", "valid", "test")}
counts = dict.fromkeys(files, 0)
for split, example in examples:
    files[split].write(json.dumps(example, ensure_ascii=False) + "\n")
    counts[split] += 1
print(", ".join(f"{count} to {name}" for name, count in counts.items()))
