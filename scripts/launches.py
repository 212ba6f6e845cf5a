#!/usr/bin/env python3
"""Counts the kernels that a program compiles and launches on a device of CubeCL.

    launches.py [--steps A B] -- PROGRAM [ARGUMENTS]

With --steps the program runs twice, {} in its arguments being A and then B, and the launches are those of one step: the
difference, divided by B - A. PROGRAM is one that is built already, not cargo; arguments that name a file here are passed with
their whole paths, as it runs in an empty folder, where CubeCL finds the settings that make it tell.
"""

import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile

SETTINGS = """
[compilation.logger]
level = "basic"
file = "{folder}/compiled"

[profiling.logger]
level = "minimal"
file = "{folder}/launched"

[autotune]
disable_cache = true
"""


def lines(path, start):
    text = path.read_text(errors="replace") if path.exists() else ""
    found = (line.removeprefix(start) for line in text.splitlines() if line.startswith(start))
    return [name.split("::")[-1].split(" | ")[0] for name in found]


def kernel(launched):
    # The last part tells variants of one kernel apart.
    return launched.rsplit("_", 1)[0]


def run(command):
    """How many variants of each kernel were compiled, and how often each kernel was launched."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "cubecl.toml").write_text(SETTINGS.format(folder=folder))
        try:
            outcome = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            sys.exit(f"launches.py: cannot run {command[0]} ({error.strerror}); name a program that is built already")
        if outcome.returncode != 0:
            sys.exit(f"launches.py: {command[0]} ended with {outcome.returncode}:\n{outcome.stderr[-2000:]}")
        compiled = collections.Counter(lines(folder / "compiled", "[Compiling kernel] "))
        launched = collections.Counter(kernel(line) for line in lines(folder / "launched", "Executing "))
    if not launched:
        sys.exit("launches.py: no launch was seen; is the program built with a device of CubeCL, and was it asked for?")
    return compiled, launched


def absolute(argument):
    path = pathlib.Path(argument)
    return str(path.resolve()) if path.exists() else argument


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", nargs=2, type=int, metavar=("A", "B"))
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    command = [absolute(argument) for argument in arguments.command]
    if arguments.steps is None:
        compiled, launched = run(command)
        print("| kernel | variants compiled | launches |\n|---|---:|---:|")
        for name, count in launched.most_common():
            print(f"| {name} | {compiled[name]} | {count} |")
        print(f"| all | {sum(compiled.values())} | {sum(launched.values())} |")
        return
    few, many = arguments.steps
    if many <= few:
        sys.exit(f"launches.py: the second number of steps must be the larger one, found {few} and {many}")
    (_, first), (compiled, second) = (run([part.replace("{}", str(steps)) for part in command]) for steps in (few, many))
    print("| kernel | variants compiled | launches a step |\n|---|---:|---:|")
    total = 0.0
    per_step = {name: (second[name] - first[name]) / (many - few) for name in second}
    for name, count in sorted(per_step.items(), key=lambda item: -item[1]):
        if count != 0:
            print(f"| {name} | {compiled[name]} | {count:g} |")
            total += count
    print(f"| all | {sum(compiled.values())} | {total:g} |")


if __name__ == "__main__":
    main()
