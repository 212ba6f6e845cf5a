#!/usr/bin/env python3
"""Writes the reference values of tests/fixtures. Standard library only, float64, one vector at a time.

    python3 tests/make_fixtures.py tests/fixtures --seed 7 1 2 3 5 8 12 137

Each {strict,quasi}_d{d}.safetensors holds, all F64:
    x, grad_y [n, d]    activations and the upstream gradient of y
    weight    [d, m]    a frozen weight, [d_input, d_output]
    angles    [d-1]     strict: radians, level by level, rising first axis
    blocks    [d-1,2,2] quasi: [[alpha1, beta1], [alpha2, beta2]] in the same order
and what must come out: y = x R, y_t = x R^T, grad_x, grad_angles or grad_blocks of <grad_y, y>, merged = R W, penalty.
"""
import argparse
import json
import math
import pathlib
import random
import struct


def tree(d):
    """(level, i, j) of every rotation: at level r, i is a multiple of 2^r and j = i + 2^(r-1)."""
    out, r = [], 1
    while 2 ** (r - 1) < d:
        out += [(r, i, i + 2 ** (r - 1)) for i in range(0, d, 2**r) if i + 2 ** (r - 1) < d]
        r += 1
    return out


def rotation(t):
    return (math.cos(t), -math.sin(t), math.sin(t), math.cos(t))


def turn(v, pairs, blocks):
    """R v: rotations in order, rows (i, j) of each block."""
    v = list(v)
    for (_, i, j), (p, q, r, s) in zip(pairs, blocks):
        v[i], v[j] = p * v[i] + q * v[j], r * v[i] + s * v[j]
    return v


def turn_back(v, pairs, blocks, watch=None):
    """R^T v: rotations in opposite order, columns of each block; `watch` sees the pair's values before each."""
    v = list(v)
    for k in reversed(range(len(pairs))):
        _, i, j = pairs[k]
        p, q, r, s = blocks[k]
        if watch:
            watch(k, v[i], v[j])
        v[i], v[j] = p * v[i] + r * v[j], q * v[i] + s * v[j]
    return v


def gradients(x, grad_y, pairs, blocks):
    """Of <grad_y, x R>, where each row of x R is R^T of a row of x."""
    grad_blocks = [[0.0] * 4 for _ in pairs]
    grad_x = []
    for row, grad in zip(x, grad_y):
        before = {}
        turn_back(row, pairs, blocks, lambda k, a, b: before.update({k: (a, b)}))
        grad = list(grad)
        for k, ((_, i, j), (p, q, r, s)) in enumerate(zip(pairs, blocks)):
            a, b = before[k]
            for slot, value in enumerate((a * grad[i], a * grad[j], b * grad[i], b * grad[j])):
                grad_blocks[k][slot] += value
            grad[i], grad[j] = p * grad[i] + q * grad[j], r * grad[i] + s * grad[j]
        grad_x.append(grad)
    return grad_x, grad_blocks


def write(path, tensors):
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        data = struct.pack(f"<{len(values)}d", *values)
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def flat(rows):
    return [value for row in rows for value in row]


def columns(rows):
    return [list(column) for column in zip(*rows)]


def fixture(kind, d, seed, n=4, m=3):
    rng = random.Random(f"{seed} {kind} {d}")
    normal = lambda rows, width: [[rng.gauss(0, 1) for _ in range(width)] for _ in range(rows)]
    x, grad_y, weight = normal(n, d), normal(n, d), normal(d, m)
    pairs = tree(d)
    if kind == "strict":
        angles = [rng.uniform(-math.pi, math.pi) for _ in pairs]
        blocks = [rotation(t) for t in angles]
        given = {"angles": ([d - 1], angles)}
    else:
        blocks = [[e + 0.3 * rng.gauss(0, 1) for e in (1, 0, 0, 1)] for _ in pairs]
        given = {"blocks": ([d - 1, 2, 2], flat(blocks))}
    grad_x, grad_blocks = gradients(x, grad_y, pairs, blocks)
    if kind == "strict":
        tangent = [(-math.sin(t), -math.cos(t), math.cos(t), -math.sin(t)) for t in angles]
        slope = [sum(a * b for a, b in zip(g, t)) for g, t in zip(grad_blocks, tangent)]
        expected = {"grad_angles": ([d - 1], slope)}
    else:
        expected = {"grad_blocks": ([d - 1, 2, 2], flat(grad_blocks))}
    merged = columns([turn(column, pairs, blocks) for column in columns(weight)])
    return {
        "x": ([n, d], flat(x)),
        "grad_y": ([n, d], flat(grad_y)),
        "weight": ([d, m], flat(weight)),
        **given,
        "y": ([n, d], flat(turn_back(row, pairs, blocks) for row in x)),
        "y_t": ([n, d], flat(turn(row, pairs, blocks) for row in x)),
        "grad_x": ([n, d], flat(grad_x)),
        **expected,
        "merged": ([d, m], flat(merged)),
        "penalty": ([], [sum((p * q + r * s) ** 2 for p, q, r, s in blocks)]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("dims", type=int, nargs="+")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for d in arguments.dims:
        for kind in ("strict", "quasi"):
            write(arguments.folder / f"{kind}_d{d}.safetensors", fixture(kind, d, arguments.seed))
