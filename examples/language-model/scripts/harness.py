#!/usr/bin/env python3
"""Multiple choice as lm-evaluation-harness has it: its tasks as files for `goft-lm eval --choices`, and both measured side by side.

    pip install lm-eval torch transformers
    harness.py export TASK OUT.jsonl [--fewshot N] [--limit N] [--tasks FOLDER]
    harness.py compare MODEL QUESTIONS.jsonl goft-lm [--limit N]

`export` writes the questions of a task that the harness knows by name, or by a file in a folder of tasks, with its prompts and its
examples before them; its data come from the Hugging Face hub. `compare` gives such a file to the harness as a task and to the
program, and ends with an error unless `acc`, `acc_norm` and their standard errors agree to 1e-4. Both compute in f32 on the CPU.
"""
import argparse, json, os, subprocess, sys, tempfile

TASK = """task: questions
dataset_path: json
dataset_kwargs:
  data_files:
    test: "{path}"
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
target_delimiter: "{delimiter}"
metric_list:
  - metric: acc
    aggregation: mean
  - metric: acc_norm
    aggregation: mean
"""


def refuse(reason):
    sys.exit(f"harness.py: {reason}")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def export(options):
    from lm_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=options.tasks)
    task = next(iter(get_task_dict([options.task], manager).values()))
    if isinstance(task, dict) or getattr(task, "OUTPUT_TYPE", None) != "multiple_choice":
        refuse(f"`{options.task}` is a group or no multiple choice; name one task with answers to choose from")
    if getattr(task, "multiple_input", 0):
        refuse(f"`{options.task}` chooses between questions, not answers; the format has no place for that")
    task.set_fewshot_seed(1234)
    if options.fewshot is not None:
        task.set_config("num_fewshot", options.fewshot)
    task.build_all_requests(limit=options.limit, rank=0, world_size=1)
    delimiter = task.config.target_delimiter
    asked = {}
    for instance in task.instances:
        context, continuation = instance.args
        question = asked.setdefault(instance.doc_id, {"context": context, "choices": [], "gold": None, "delimiter": delimiter})
        question["choices"].append(continuation.removeprefix(delimiter))
        gold = task.doc_to_target(instance.doc)
        choices = task.doc_to_choice(instance.doc)
        question["gold"] = gold if isinstance(gold, int) else choices.index(gold)
    with open(options.out, "w", encoding="utf-8") as file:
        for question in asked.values():
            file.write(json.dumps(question, ensure_ascii=False) + "\n")
    print(f"{len(asked)} questions of `{options.task}` in {options.out}")


def of_harness(model, path, delimiter):
    import lm_eval
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "questions.yaml"), "w", encoding="utf-8") as file:
            file.write(TASK.format(path=os.path.abspath(path), delimiter=delimiter))
        found = lm_eval.simple_evaluate(
            model="hf", model_args={"pretrained": model, "dtype": "float32"}, tasks=["questions"], device="cpu", batch_size=8,
            task_manager=TaskManager(include_path=folder), bootstrap_iters=100)
    found = found["results"]["questions"]
    return {name: (found[f"{name},none"], found[f"{name}_stderr,none"]) for name in ("acc", "acc_norm")}


def compare(options):
    questions = lines(options.questions)[: options.limit]
    delimiters = {question.get("delimiter", " ") for question in questions}
    if len(delimiters) != 1:
        refuse("the questions have several delimiters, and a task of the harness has one")
    with tempfile.TemporaryDirectory() as folder:
        some = os.path.join(folder, "questions.jsonl")
        with open(some, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(question) + "\n" for question in questions)
        theirs = of_harness(options.model, some, delimiters.pop())
        output = subprocess.run([options.program, "eval", "--model", options.model, "--choices", some],
                                stdout=subprocess.PIPE, check=True, text=True).stdout
    ours = json.loads(output)["choices"]
    apart = 0.0
    print(f"{len(questions)} questions\n| | harness | goft-lm |\n|---|---:|---:|")
    for name, (share, error) in theirs.items():
        found = ours[name]
        print(f"| {name} | {share:.6f} ± {error:.6f} | {found['share']:.6f} ± {found['stderr']:.6f} |")
        apart = max(apart, abs(share - found["share"]), abs(error - found["stderr"]))
    if apart > 1e-4:
        refuse(f"they are {apart:.2e} apart, and may be 1e-4")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
commands = parser.add_subparsers(required=True)
command = commands.add_parser("export")
command.add_argument("task")
command.add_argument("out")
command.add_argument("--fewshot", type=int)
command.add_argument("--limit", type=int)
command.add_argument("--tasks")
command.set_defaults(run=export)
command = commands.add_parser("compare")
command.add_argument("model")
command.add_argument("questions")
command.add_argument("program")
command.add_argument("--limit", type=int)
command.set_defaults(run=compare)
options = parser.parse_args()
options.run(options)
