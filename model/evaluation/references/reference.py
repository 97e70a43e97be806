"""What published programs make of the shared vectors.

`reference.py check` computes every expected figure anew from the inputs in vectors.json and fails where one differs.
`reference.py write` makes the inputs (seeded) and writes both. The Rust tests hold our own code against the same file.
"""

import json
import pathlib
import sys

import numpy as np
import pandas as pd
from river.anomaly import HalfSpaceTrees
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, roc_auc_score
from statsmodels.tsa.ar_model import AutoReg
from vus.utils.metrics import metricor

FILE = pathlib.Path(__file__).with_name("vectors.json")
# Values are multiples of this, so that they are the same number in 32 and in 64 bits.
GRAIN = 1 / 1024
DAY = 144
LEARNT = 14 * DAY
ORDER = 36


def grained(values):
    return [float(value) for value in np.round(np.asarray(values) / GRAIN) * GRAIN]


def inputs():
    rng = np.random.default_rng(58)
    steps = np.arange(LEARNT + DAY)
    noise = rng.normal(0, 0.3, len(steps))
    series = 20 + 3 * np.sin(2 * np.pi * steps / DAY) + np.convolve(noise, [1, 0.6, 0.3], "same")
    other = 50 - 4 * np.sin(2 * np.pi * steps / DAY + 0.4) + rng.normal(0, 0.5, len(steps))
    third = 0.5 * series + 0.25 * other + rng.normal(0, 0.2, len(steps))
    labels = np.zeros(600, dtype=int)
    for first, last in [(0, 4), (100, 130), (140, 150), (300, 301), (560, 599)]:
        labels[first : last + 1] = 1
    # Ties included: a score of few distinct values is where implementations differ.
    scores = np.round((labels * 0.8 + rng.normal(0, 1, 600)) * 8) / 8
    rows = np.column_stack([series[:600], np.roll(series, 1)[:600], other[:600]])
    strange = rows[:40] + rng.normal(0, 3, (40, 3))
    return {
        "series": grained(series),
        "other": grained(other),
        "third": grained(third),
        "labels": [int(label) for label in labels],
        "scores": grained(scores),
        "rows": [grained(row) for row in rows],
        "strange": [grained(row) for row in strange],
    }


def windows(values, length, stride):
    return np.lib.stride_tricks.sliding_window_view(np.asarray(values), length)[::stride]


def band(values):
    samples = {}
    for step, value in enumerate(values):
        for near in (step - 1, step, step + 1):
            samples.setdefault(near % DAY, []).append(value)
    return [[float(np.quantile(samples[step], share, method="nearest")) for share in (0.1, 0.9)] for step in range(DAY)]


def slots(values):
    frame = pd.DataFrame({"value": values, "step": np.arange(len(values))})
    frame["slot"] = (frame.step // DAY % 7) * 24 + frame.step % DAY // 6
    grouped = frame.groupby("slot").value
    return [[float(mean), float(deviation)] for mean, deviation in zip(grouped.mean(), grouped.std(ddof=0))]


def unit(rows):
    """Rows in the unit cube of the usual ones, which half-space trees ask for."""
    usual = np.array(rows)
    low, high = usual.min(axis=0), usual.max(axis=0)
    return lambda row: dict(enumerate((np.array(row) - low) / (high - low)))


def half_spaces(given, seed, trees, height):
    """Trees that learnt each usual row once, as one window."""
    place = unit(given["rows"])
    grown = HalfSpaceTrees(n_trees=trees, height=height, window_size=len(given["rows"]), seed=seed)
    for row in given["rows"]:
        grown.learn_one(place(row))
    return grown, place


def exported(tree):
    """A tree as arrays: children of node i are 2i + 1 and 2i + 2."""
    nodes = [tree]
    for node in nodes:
        nodes.extend(getattr(node, "children", ()))
    inner = [node for node in nodes if hasattr(node, "feature")]
    return {
        "column": [int(node.feature) for node in inner],
        "middle": [float(node.threshold) for node in inner],
        "mass": [int(node.r_mass) for node in nodes],
    }


def half_space_areas(given, truth):
    areas = []
    for seed in range(10):
        grown, place = half_spaces(given, seed, 25, 8)
        scores = [grown.score_one(place(row)) for row in given["rows"] + given["strange"]]
        areas.append(roc_auc_score(truth, scores))
    return areas


def spread(areas):
    return {"min": float(min(areas)), "mean": float(np.mean(areas)), "max": float(max(areas))}


def expected(given):
    labels, scores = np.array(given["labels"]), np.array(given["scores"])
    surface = metricor()
    volume = {
        f"{window}/{thresholds}": float(surface.RangeAUC_volume_opt(labels, scores, window, thresholds)[5])
        for window, thresholds in [(0, 250), (1, 50), (5, 250), (36, 50), (36, 250), (100, 250)]
    }
    series = np.array(given["series"])
    past = series[:LEARNT]
    ewm = pd.Series(series).ewm(alpha=2 / (DAY + 1), adjust=False)
    lags = np.array([past[step - ORDER : step][::-1] for step in range(ORDER, LEARNT)])
    ridge = Ridge(alpha=1.0).fit(lags, past[ORDER:])
    plain = AutoReg(past, lags=ORDER, trend="c").fit().params
    others = np.column_stack([given["other"], given["third"]])
    mean, deviation = others[:LEARNT].mean(axis=0), others[:LEARNT].std(axis=0)
    cross = Ridge(alpha=1.0).fit(((others - mean) / deviation)[:LEARNT:3], past[::3])
    pca = PCA(n_components=6, svd_solver="full").fit(windows(past, ORDER, 2))
    tested = windows(series[LEARNT - ORDER :], ORDER, 1)
    rebuilt = pca.inverse_transform(pca.transform(tested))
    rows, strange = np.array(given["rows"], dtype=np.float32), np.array(given["strange"], dtype=np.float32)
    forest = IsolationForest(n_estimators=6, max_samples=64, random_state=0).fit(rows)
    truth = np.r_[np.zeros(len(rows)), np.ones(len(strange))]
    areas = [
        roc_auc_score(
            truth,
            -IsolationForest(n_estimators=50, max_samples=256, random_state=seed)
            .fit(rows)
            .score_samples(np.vstack([rows, strange])),
        )
        for seed in range(20)
    ]
    halves, place = half_spaces(given, 0, 4, 5)
    return {
        "vus_pr": volume,
        "auc_pr": float(average_precision_score(labels, scores)),
        "static_z": [float(past.mean()), float(past.std())],
        "ewma": [[float(mean), float(var)] for mean, var in zip(ewm.mean()[-20:], ewm.var(bias=True)[-20:])],
        "slots": slots(past),
        "band": band(past),
        "ar_ridge": {"weights": [float(weight) for weight in ridge.coef_], "intercept": float(ridge.intercept_)},
        "ar_plain": {"weights": [float(weight) for weight in plain[1:]], "intercept": float(plain[0])},
        "cross_ridge": {"weights": [float(weight) for weight in cross.coef_], "intercept": float(cross.intercept_)},
        "sub_pca": [float(distance) for distance in ((tested - rebuilt) ** 2).sum(axis=1)],
        "forest": {
            "sample_size": 64,
            "trees": [
                {
                    "left": tree.tree_.children_left.tolist(),
                    "right": tree.tree_.children_right.tolist(),
                    "feature": tree.tree_.feature.tolist(),
                    "threshold": tree.tree_.threshold.tolist(),
                    "samples": tree.tree_.n_node_samples.tolist(),
                }
                for tree in forest.estimators_
            ],
        },
        "forest_scores": [float(score) for score in -forest.score_samples(np.vstack([rows[:30], strange]))],
        "forest_auc": spread(areas),
        "half_spaces": [exported(tree) for tree in halves.trees],
        "half_space_scores": [float(halves.score_one(place(row))) for row in given["rows"][:30] + given["strange"]],
        "half_space_auc": spread(half_space_areas(given, truth)),
    }


def differences(old, new, path=""):
    if isinstance(old, dict):
        if old.keys() != new.keys():
            return [f"{path}: other names"]
        return [line for key in old for line in differences(old[key], new[key], f"{path}/{key}")]
    if isinstance(old, list):
        if len(old) != len(new):
            return [f"{path}: {len(old)} and {len(new)} items"]
        return [line for place, pair in enumerate(zip(old, new)) for line in differences(*pair, f"{path}/{place}")]
    close = np.isclose(old, new, rtol=1e-6, atol=1e-9)
    return [] if close else [f"{path}: the file has {old}, the published program says {new}"]


def main():
    if sys.argv[1:] == ["write"]:
        given = inputs()
        FILE.write_text(json.dumps({"inputs": given, "expected": expected(given)}) + "\n")
        return
    if sys.argv[1:] != ["check"]:
        sys.exit(__doc__)
    vectors = json.loads(FILE.read_text())
    now = expected(vectors["inputs"])
    old = vectors["expected"]
    # How a forest is grown may change between releases of scikit-learn and river; its spread over seeds and the scoring of
    # the exported one may not.
    for grown in ("forest", "forest_scores", "half_spaces", "half_space_scores"):
        if now[grown] != old[grown]:
            print(f"note: this release grows another {grown}; the exported one stays the reference")
        now[grown] = old[grown]
    for area in ("forest_auc", "half_space_auc"):
        if abs(now[area]["mean"] - old[area]["mean"]) <= old[area]["max"] - old[area]["min"]:
            now[area] = old[area]
    wrong = differences(old, now)
    print("\n".join(wrong[:20]) or f"{len(old)} references agree")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
