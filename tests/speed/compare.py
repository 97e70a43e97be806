"""Our scorer against ONNX Runtime, our training step against PyTorch eager: same network, same run, one thread.

Started by `cargo xtask bench edge` and `cargo xtask bench train`. The programs take turns, round by round, so that what
else the machine does meets both alike. Ratios above 1 mean that ours is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np

import network

BATCHES = (1, 32, 256)
ENTITIES, DAYS, STEPS_A_DAY, WINDOW_STEPS = 300, 30, 144, 96


def times(work, seconds):
    """Durations of single calls, in microseconds, after a warm-up."""
    for _ in range(20):
        work()
    found = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < 10:
        begin = time.perf_counter()
        work()
        found.append((time.perf_counter() - begin) * 1e6)
    return found


def ours(program, *arguments):
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


class OnnxRuntime:
    def __init__(self, weights):
        import onnxruntime

        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = 1
        self.options.inter_op_num_threads = 1
        self.make = lambda model: onnxruntime.InferenceSession(model, self.options, ["CPUExecutionProvider"])
        self.session = self.make(network.to_onnx(weights))
        self.version = onnxruntime.__version__

    def run(self, windows, classes):
        return self.session.run(None, {"windows": windows, "classes": classes})[0]

    def binding(self, size):
        """What a call through the Python binding costs by itself: a network that only passes six numbers on."""
        from onnx import TensorProto, helper

        nodes = [
            helper.make_node("Slice", ["windows", "begin", "end", "axis"], ["outputs"]),
        ]
        values = [
            helper.make_tensor(name, TensorProto.INT64, [1], [value])
            for name, value in (("begin", 0), ("end", 6), ("axis", 1))
        ]
        inputs = [
            helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["n", size["window"]]),
            helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", size["slots"]]),
        ]
        outputs = [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", 6])]
        graph = helper.make_graph(nodes, "pass", inputs, outputs, values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        session = self.make(model.SerializeToString())
        windows = np.zeros((1, size["window"]), np.float32)
        classes = np.zeros((1, size["slots"]), np.float32)
        return min(times(lambda: session.run(None, {"windows": windows, "classes": classes}), 0.5))


def edge(arguments):
    weights, golden = network.tensors(arguments.weights)
    size = network.form(weights)
    runtime = OnnxRuntime(weights)
    worst = network.check(runtime.run, weights, golden, "ONNX Runtime")
    print(f"ONNX Runtime {runtime.version}: the same network, golden outputs agree within {worst:.1e}")
    overhead = runtime.binding(size)
    print(f"its Python binding costs {overhead:.1f} µs a call (an empty network); taken off below")
    rng = np.random.default_rng(1)
    batches = {n: rng.uniform(-1, 1, (n, size["window"])).astype(np.float32) for n in BATCHES}
    one_hot = {n: np.tile(np.eye(size["slots"], dtype=np.float32)[:1], (n, 1)) for n in BATCHES}
    mine, theirs = {n: [] for n in BATCHES}, {n: [] for n in BATCHES}
    for _ in range(arguments.rounds):
        measured = ours(arguments.program, "agent", "--scorer", "--calls", "400")
        for n in BATCHES:
            mine[n].append(measured["batches"][str(n)])
            found = times(lambda: runtime.run(batches[n], one_hot[n]), 0.4)
            theirs[n].append((statistics.median(found) - overhead, min(found) - overhead))
    print(f"{'batch':>6} {'ours µs (median, best)':>26} {'ONNX Runtime µs':>22} {'ratio of medians':>18} {'of bests':>10}")
    for n in BATCHES:
        medians = statistics.median(m["median_us"] for m in mine[n]), statistics.median(t[0] for t in theirs[n])
        bests = min(m["best_us"] for m in mine[n]), min(t[1] for t in theirs[n])
        print(
            f"{n:>6} {medians[0]:>15.1f} {bests[0]:>10.1f} {medians[1]:>11.1f} {bests[1]:>10.1f}"
            f" {medians[1] / medians[0]:>18.2f} {bests[1] / bests[0]:>10.2f}"
        )
    backfill(arguments, runtime, size)


def backfill(arguments, runtime, size):
    """Thirty days of 300 entities: every window is gathered from its rows and scored, on both sides."""
    windows = ENTITIES * DAYS * STEPS_A_DAY
    rows = np.random.default_rng(2).uniform(-1, 1, (DAYS * STEPS_A_DAY + WINDOW_STEPS, size["features"]))
    rows = rows.astype(np.float32)
    view = np.lib.stride_tricks.sliding_window_view(rows.reshape(-1), size["window"])[:: size["features"]]
    print(f"backfill of {ENTITIES} entities and {DAYS} days, {windows} windows:")
    mine = ours(arguments.program, "agent", "--scorer", "--calls", "1", "--backfill")["backfill_s"]
    best = None
    for batch in (8, 32, 256):
        classes = np.tile(np.eye(size["slots"], dtype=np.float32)[:1], (batch, 1))
        # A tenth of it tells the rate; the whole at three batch sizes would take minutes.
        share = windows // 10
        begin = time.perf_counter()
        done = 0
        while done < share:
            first = done % (len(view) - batch)
            runtime.run(np.ascontiguousarray(view[first : first + batch]), classes)
            done += batch
        took = (time.perf_counter() - begin) * windows / done
        print(f"  ONNX Runtime in batches of {batch:>3}: {took:6.2f} s")
        best = took if best is None else min(best, took)
    print(f"  ours: {mine:6.2f} s; ratio to its best {best / mine:.2f}")


def train(arguments):
    import torch

    torch.set_num_threads(1)
    weights, golden = network.tensors(arguments.weights)
    size = network.form(weights)
    model = network.to_torch(weights)
    with torch.no_grad():
        run = lambda windows, classes: model(torch.from_numpy(windows), torch.from_numpy(classes)).numpy()
        worst = network.check(run, weights, golden, "PyTorch")
    print(f"PyTorch {torch.__version__}: the same network, golden outputs agree within {worst:.1e}")
    n = arguments.batch
    rng = np.random.default_rng(1)
    windows = torch.from_numpy(rng.uniform(-1, 1, (n, size["window"])).astype(np.float32))
    classes = torch.from_numpy(np.eye(size["slots"], dtype=np.float32)[rng.integers(0, 4, n)])
    labels = torch.from_numpy((np.arange(n) % 3 == 0).astype(np.float32)[:, None])
    targets = torch.zeros(n, 1)
    levels = torch.tensor([[0.05, 0.25, 0.5, 0.75, 0.95]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02, eps=1e-5)
    parameters = list(model.parameters())

    def step():
        outputs = model(windows, classes)
        misses = targets - outputs[:, :5]
        known = 1 - labels
        pinball = ((misses * levels + torch.relu(-misses)) * known).sum() / (known.sum() * 5)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 5:], labels)
        loss = pinball + 4 * entropy
        optimizer.zero_grad()
        loss.backward()
        for parameter in parameters:
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()

    mine, theirs = [], []
    for _ in range(arguments.rounds):
        mine.append(ours(arguments.program, "train-step", "--batch", str(n), "--json")["samples_per_s"])
        theirs.append(n / (statistics.median(times(step, 3.0)) / 1e6))
    for name, rates in (("ours", mine), ("PyTorch eager", theirs)):
        print(f"{name:<14} {statistics.median(rates):>9.0f} samples/s ({min(rates):.0f} to {max(rates):.0f})")
    print(f"ratio {statistics.median(mine) / statistics.median(theirs):.2f}, batch {n}, one thread, {arguments.rounds} rounds")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["edge", "train"])
    parser.add_argument("--program", required=True)
    parser.add_argument("--weights", default="model/shipped/network.safetensors")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    arguments = parser.parse_args()
    {"edge": edge, "train": train}[arguments.what](arguments)


if __name__ == "__main__":
    main()
