"""One home's part of a federated round in PyTorch: the windows and the recipe of model/training/src/{sampler,round}.rs."""

import json
import struct
from pathlib import Path

import numpy as np
import torch

import network

WINDOW_STEPS, FEATURES = 96, 20
STEPS, BATCH, RISE_STEPS, RATE = 20, 128, 5, 1e-3
FAULTY_SHARE, HARD_SHARE, HARD_POOL, HARD_ONE_IN = 1 / 3, 0.2, 1024, 20
JITTER, TRIES = 0.15, 32
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
WEIGHT_DECAY, EPSILON, GRADIENT_NORM = 0.02, 1e-5, 1.0


class Home:
    """What one home draws windows from: its histories, and copies with faults."""

    def __init__(self, file):
        found, _ = network.tensors(file)
        self.signed = found["signed"] > 0
        self.faults = found["faults"].astype(int).reshape(-1, 3)
        self.classes = found["classes"].astype(int)
        self.mirrored = found["mirrored"] > 0
        sources = range(len(self.classes))
        view = np.lib.stride_tricks.sliding_window_view
        width = WINDOW_STEPS * FEATURES
        # The window that ends with row r begins 95 rows before it.
        self.windows = [view(found[f"rows.{place}"].reshape(-1), width)[::FEATURES] for place in sources]
        self.ready = [found[f"ready.{place}"] > 0 for place in sources]
        self.normal = [found[f"normal.{place}"].astype(int) for place in sources]
        self.targets = [found[f"targets.{place}"] for place in sources]
        self.with_normal = [place for place in sources if len(self.normal[place])]
        self.hard = []

    def window(self, place, row):
        return self.windows[place][row - WINDOW_STEPS + 1]

    def any_normal(self, rng):
        place = self.with_normal[rng.integers(len(self.with_normal))]
        return place, rng.integers(len(self.normal[place]))

    def find_hard(self, model, rng):
        pool = [self.any_normal(rng) for _ in range(HARD_POOL)]
        windows = np.stack([self.window(place, self.normal[place][at]) for place, at in pool])
        classes = self.classes[[place for place, _ in pool]]
        with torch.no_grad():
            logits = model(torch.from_numpy(windows), one_hot(classes, model.slots))[:, 5].numpy()
        order = np.argsort(-logits, kind="stable")[: HARD_POOL // HARD_ONE_IN]
        self.hard = [pool[at] for at in order]

    def draw(self, rng):
        """A batch: windows, classes, labels, targets and whether they are known."""
        windows = np.empty((BATCH, WINDOW_STEPS * FEATURES), np.float32)
        classes, labels = np.zeros(BATCH, int), np.zeros(BATCH, np.float32)
        targets, known = np.zeros(BATCH, np.float32), np.zeros(BATCH, np.float32)
        for at in range(BATCH):
            drawn = self.draw_fault(rng) if rng.random() < FAULTY_SHARE else None
            if drawn is not None:
                place, row = drawn
                labels[at] = 1
            else:
                hard = len(self.hard) > 0 and rng.random() < HARD_SHARE
                place, step = self.hard[rng.integers(len(self.hard))] if hard else self.any_normal(rng)
                row, target = self.normal[place][step], self.targets[place][step]
                if np.isfinite(target):
                    targets[at], known[at] = target, 1
            window = self.window(place, row).reshape(WINDOW_STEPS, FEATURES).copy()
            mirror = rng.random() < 0.5 and self.mirrored[place]
            jitter = np.where(self.signed, rng.uniform(-JITTER, JITTER, FEATURES), 0).astype(np.float32)
            if mirror:
                window[:, self.signed] *= -1
                targets[at] *= -1
            windows[at] = (window + jitter).reshape(-1)
            classes[at] = self.classes[place]
        return windows, classes, labels, targets, known

    def draw_fault(self, rng):
        for _ in range(TRIES):
            place, first, end = self.faults[rng.integers(len(self.faults))]
            row = rng.integers(first, end)
            if self.ready[place][row]:
                return place, row
        return None


def one_hot(classes, slots):
    return torch.from_numpy(np.eye(slots, dtype=np.float32)[classes])


def module(weights):
    model = network.to_torch(weights)
    model.slots = network.form(weights)["slots"]
    return model


def loss(model, batch, anomaly_weight):
    windows, classes, labels, targets, known = batch
    outputs = model(torch.from_numpy(windows), one_hot(classes, model.slots))
    column = lambda values: torch.from_numpy(values)[:, None]
    misses = column(targets) - outputs[:, :5]
    pinball = ((misses * torch.tensor([LEVELS]) + torch.relu(-misses)) * column(known)).sum()
    pinball = pinball / (max(float(known.sum()), 1.0) * len(LEVELS))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 5:], column(labels))
    return pinball + anomaly_weight * entropy


def train(weights, home, rate, anomaly_weight, seed):
    """Twenty steps from `weights` with fresh moments; new weights by name."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    model = module(weights)
    home.find_hard(model, rng)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY, eps=EPSILON)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / RISE_STEPS, 1.0)
        optimizer.zero_grad()
        loss(model, home.draw(rng), anomaly_weight).backward()
        for parameter in parameters:
            torch.nn.utils.clip_grad_norm_([parameter], GRADIENT_NORM)
        optimizer.step()
    return {name: getattr(model, name.replace(".", "_")).detach().numpy() for name in weights}


def rate_in(round_, rounds):
    """The step size falls along a half cosine to a tenth; rounds count from 0."""
    share = min(round_ / max(rounds - 1, 1), 1.0)
    return RATE * (0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * share)))


def write(weights, file):
    header, blob = {}, b""
    for name in sorted(weights):
        values = np.ascontiguousarray(weights[name], dtype="<f4").tobytes()
        offsets = [len(blob), len(blob) + len(values)]
        header[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": offsets}
        blob += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(file).write_bytes(struct.pack("<Q", len(text)) + text + blob)
