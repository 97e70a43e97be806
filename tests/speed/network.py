"""The patch-merge tree of model/detector/src/network/patch_tree.rs, for ONNX Runtime and PyTorch: same tensors, same sums.

The form is read from the shapes of the tensors in the artifact, so that a network of other widths needs no change here.
"""

import json
import struct

import numpy as np


def tensors(path):
    """The parameters of an artifact by name (golden vectors left out), read without any package for it."""
    with open(path, "rb") as file:
        blob = file.read()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(blob[8 + length + begin : 8 + length + end], dtype="<f4")
        found[name] = values.reshape(entry["shape"]).copy()
    golden = {name: found.pop(name) for name in list(found) if name.startswith("golden.")}
    return found, golden


def form(weights):
    """Sizes: features, patch steps, patches, merge, nodes, class slots."""
    features = weights["last.weight"].shape[0]
    patch_steps = weights["patch.weight"].shape[0] // features
    merge = weights["node.weight"].shape[0] // weights["patch.weight"].shape[1]
    nodes = weights["root.weight"].shape[0] // weights["node.weight"].shape[1]
    return dict(
        features=features,
        patch_steps=patch_steps,
        patches=merge * nodes,
        merge=merge,
        nodes=nodes,
        slots=weights["class.weight"].shape[0],
        window=features * patch_steps * merge * nodes,
    )


def to_onnx(weights):
    """A model with the inputs `windows` [n, window] and `classes` [n, slots], and the output `outputs` [n, 6]."""
    from onnx import TensorProto, checker, helper, numpy_helper

    size = form(weights)
    nodes = []
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name

    def add(kind, inputs, **attributes):
        name = f"{kind.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def linear(name, value):
        bias = [f"{name}.bias"] if f"{name}.bias" in weights else []
        return add("Gemm", [value, f"{name}.weight", *bias])

    def residual(name, value):
        return add("Add", [value, add("Relu", [linear(name, value)])])

    def reshape(value, width):
        return add("Reshape", [value, constant(f"shape_{len(nodes)}", [-1, width])])

    patch, node = weights["patch.weight"].shape[1], weights["node.weight"].shape[1]
    value = reshape("windows", size["patch_steps"] * size["features"])
    value = residual("patch_residual", add("Relu", [linear("patch", value)]))
    value = reshape(value, size["merge"] * patch)
    value = residual("node_residual", add("Relu", [linear("node", value)]))
    root = linear("root", reshape(value, size["nodes"] * node))
    begin = constant("last_begin", [size["window"] - size["features"]])
    last = add("Slice", ["windows", begin, constant("last_end", [size["window"]]), constant("last_axis", [1])])
    root = add("Add", [add("Add", [root, linear("last", last)]), linear("class", "classes")])
    root = residual("root_residual", add("Relu", [root]))
    nodes.append(helper.make_node("Gemm", [root, "head.weight", "head.bias"], ["outputs"]))
    graph = helper.make_graph(
        nodes,
        "patch-tree",
        [
            helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["n", size["window"]]),
            helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", size["slots"]]),
        ],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", 6])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()


def to_torch(weights):
    """The same as a torch module."""
    import torch

    size = form(weights)

    class PatchTree(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, values in weights.items():
                setattr(self, name.replace(".", "_"), torch.nn.Parameter(torch.from_numpy(values.copy())))

        def linear(self, name, value):
            out = value @ getattr(self, f"{name}_weight")
            bias = getattr(self, f"{name}_bias", None)
            return out if bias is None else out + bias

        def residual(self, name, value):
            return value + torch.relu(self.linear(name, value))

        def forward(self, windows, classes):
            n = windows.shape[0]
            last = windows[:, -size["features"] :]
            value = windows.reshape(n * size["patches"], -1)
            value = self.residual("patch_residual", torch.relu(self.linear("patch", value)))
            value = value.reshape(n * size["nodes"], -1)
            value = self.residual("node_residual", torch.relu(self.linear("node", value)))
            root = self.linear("root", value.reshape(n, -1)) + self.linear("last", last) + self.linear("class", classes)
            root = self.residual("root_residual", torch.relu(root))
            return self.linear("head", root)

    return PatchTree()


def check(run, weights, golden, what):
    """Holds an implementation against the artifact's own golden vectors."""
    size = form(weights)
    windows = np.clip(golden["golden.input"], -10.0, 10.0).astype(np.float32)
    classes = np.eye(size["slots"], dtype=np.float32)[golden["golden.class"].astype(int)]
    found = np.array(run(windows, classes), dtype=np.float32)
    found[:, :5] = np.sort(found[:, :5], axis=1)
    worst = float(np.abs(found - golden["golden.output"]).max())
    if worst > 1e-4:
        raise SystemExit(f"{what} computes another network: outputs differ by {worst}")
    return worst
