#!/usr/bin/env python3
"""Keeps the code in the Markdown texts equal to files that are compiled, so that it can be read without building the book.

    scripts/book_code.py                      fills every region anew
    scripts/book_code.py --check              changes nothing; fails if a region is stale
    scripts/book_code.py --output NAME=FILE   takes what the program NAME printed from FILE

A region stands between two HTML comments, which no reader sees:

    <!-- code: examples/first_steps.rs#train -->     the lines between `// ANCHOR: train` and `// ANCHOR_END: train`,
                                                     in a shell script between `# ANCHOR: train` and its end
    <!-- code: examples/first_steps.rs -->           the whole file
    <!-- output: first_steps -->                     what the program printed; left alone without `--output`
    <!-- end -->

Paths start at the root of the repository. Code is shifted to the left margin, and lines with anchors are left out.
"""

import argparse
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
REGION = re.compile(r"(<!-- (code|output): (\S+) -->\n)(.*?)(^<!-- end -->$)", re.DOTALL | re.MULTILINE)
OPENING = re.compile(r"^<!-- (code|output): ", re.MULTILINE)
ANCHOR = re.compile(r"\s*(//|#) ANCHOR(_END)?: ")
LANGUAGES = {".rs": "rust,ignore", ".sh": "sh", ".toml": "toml", ".py": "python"}


def texts():
    return [ROOT / "README.md", *sorted((ROOT / "book/src").rglob("*.md"))]


def code(source):
    path, _, anchor = source.partition("#")
    file = ROOT / path
    if not file.is_file():
        raise ValueError(f"there is no file `{path}`")
    lines = file.read_text().splitlines()
    if anchor:
        mark = "#" if file.suffix == ".sh" else "//"
        starts = [i for i, line in enumerate(lines) if line.strip() == f"{mark} ANCHOR: {anchor}"]
        ends = [i for i, line in enumerate(lines) if line.strip() == f"{mark} ANCHOR_END: {anchor}"]
        if len(starts) != 1 or len(ends) != 1 or ends[0] < starts[0]:
            raise ValueError(f"`{path}` needs one `{mark} ANCHOR: {anchor}` and one `{mark} ANCHOR_END: {anchor}` after it")
        lines = lines[starts[0] + 1 : ends[0]]
    kept = "\n".join(line for line in lines if not ANCHOR.match(line))
    return f"```{LANGUAGES.get(file.suffix, 'text')}\n{textwrap.dedent(kept).strip()}\n```\n"


def filled(text, outputs, seen):
    """The text with every region anew, and how many there are."""

    def fill(match):
        opening, kind, source, old, end = match.groups()
        if kind == "output" and source not in outputs:
            return match.group(0)
        seen.add(source)
        body = code(source) if kind == "code" else f"```text\n{outputs[source]}\n```\n"
        return opening + body + end

    new, count = REGION.subn(fill, text)
    if count != len(OPENING.findall(text)):
        raise ValueError("a region lacks its `<!-- end -->`")
    if "{{#include" in text:
        raise ValueError("`{{#include` can only be read in the built book; write a region instead")
    return new, count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--output", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args()
    outputs = {}
    for given in options.output:
        name, _, file = given.partition("=")
        outputs[name] = pathlib.Path(file).read_text().strip("\n")
    faults, total, seen = [], 0, set()
    for file in texts():
        name = file.relative_to(ROOT)
        old = file.read_text()
        try:
            new, count = filled(old, outputs, seen)
        except ValueError as error:
            faults.append(f"{name}: {error}")
            continue
        total += count
        if new == old:
            continue
        if options.check:
            faults.append(f"{name}: a region is stale; the same command without --check fills it anew")
        else:
            file.write_text(new)
            print("filled", name)
    faults += [f"no text shows the output of `{name}`" for name in outputs if name not in seen]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(total, "regions", "are current" if options.check else "in all")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
