#!/usr/bin/env python3
"""Draws the figures of the book that follow from the plan alone.

    scripts/book_figures.py            writes them
    scripts/book_figures.py --check    changes nothing; fails if one is stale
"""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "book/src/mathematics"
DIM, BLOCK, CELL = 16, 4, 11


def tree(dim):
    """Entries of R = P_L .. P_1 that are not zero, for the pairs (i, i + s) of the levels s = 1, 2, 4, .."""
    rows = [{row} for row in range(dim)]
    stride = 1
    while stride < dim:
        for i in range(0, dim - stride, 2 * stride):
            both = rows[i] | rows[i + stride]
            rows[i] = rows[i + stride] = both
        stride *= 2
    return rows


def blocks(dim, size):
    return [set(range(row // size * size, row // size * size + size)) for row in range(dim)]


def sparsity():
    count = DIM // BLOCK
    panels = [
        ("GOFT, one tree", tree(DIM), f"{DIM - 1} angles"),
        (f"OFT, blocks of {BLOCK}", blocks(DIM, BLOCK), f"{count * BLOCK * (BLOCK - 1) // 2} parameters"),
        ("any rotation", blocks(DIM, DIM), f"{DIM * (DIM - 1) // 2} parameters"),
    ]
    side, gap, top = DIM * CELL, 40, 34
    width, height = len(panels) * side + (len(panels) + 1) * gap, top + side + 50
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-labelledby="sparsity-title" fill="currentColor" font-family="sans-serif" font-size="14" '
        'style="color:#222;background:#fff">',
        f'  <title id="sparsity-title">Entries of R that are not zero, for d = {DIM}</title>',
    ]
    for index, (title, rows, parameters) in enumerate(panels):
        left = gap + index * (side + gap)
        cells = "".join(
            f"M{left + column * CELL} {top + row * CELL}h{CELL - 1}v{CELL - 1}h-{CELL - 1}z"
            for row, columns in enumerate(rows)
            for column in sorted(columns)
        )
        entries = sum(len(columns) for columns in rows)
        middle = left + side / 2
        lines += [
            f'  <text x="{middle:g}" y="22" text-anchor="middle" font-weight="bold">{title}</text>',
            f'  <rect x="{left - 2}" y="{top - 2}" width="{side + 3}" height="{side + 3}" fill="none" stroke="currentColor" '
            'opacity="0.4"/>',
            f'  <path fill="#0072b2" d="{cells}"/>',
            f'  <text x="{middle:g}" y="{top + side + 22}" text-anchor="middle" font-size="13">{parameters}</text>',
            f'  <text x="{middle:g}" y="{top + side + 40}" text-anchor="middle" font-size="13">{entries} of {DIM * DIM} '
            "entries</text>",
        ]
    return "\n".join([*lines, "</svg>", ""])


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    figures = {"sparsity.svg": sparsity()}
    for name, drawn in figures.items():
        file = FOLDER / name
        if check and (not file.is_file() or file.read_text() != drawn):
            sys.exit(f"{file.name} is stale; run scripts/book_figures.py")
        if not check:
            file.write_text(drawn)
    print(len(figures), "figure is current" if check else "figure drawn")


if __name__ == "__main__":
    main()
