"""Federated rounds by Flower: the homes, the network and the recipe of model/training/src/round.rs, averaged by Flower's FedAvg.

Started by `hearthwatch-emulator bench flower`, which writes the homes, one file each, and reads the weights back. Homes run as Flower's
simulated nodes in Ray, one thread each. Prints one line of JSON: seconds, and bytes of a message each way.
"""

import argparse
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
warnings.filterwarnings("ignore")

HERE = Path(__file__).resolve().parent
FOLDERS = [str(HERE), str(HERE.parent / "speed")]
# Ray's workers import our modules too, and do not know our folders.
os.environ["PYTHONPATH"] = os.pathsep.join([*FOLDERS, os.environ.get("PYTHONPATH", "")])
sys.path[:0] = FOLDERS

import numpy as np

import network
from home import write


def cpu_seconds():
    """Of this process and all below it, Ray's too: on a machine that others use it says more than a clock."""
    parent, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parent[int(stat.parent.name)] = int(fields[1])
        ticks[int(stat.parent.name)] = int(fields[11]) + int(fields[12])
    ours = {os.getpid()}
    while more := {pid for pid, above in parent.items() if above in ours and pid not in ours}:
        ours |= more
    return sum(ticks.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK")


def message_bytes(content):
    from flwr.common.serde import recorddict_to_proto

    return recorddict_to_proto(content).ByteSize()


def run(arguments):
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    logging.getLogger("flwr").setLevel(logging.ERROR)
    weights, _ = network.tensors(arguments.weights)
    files = sorted(Path(arguments.homes).glob("home-*.safetensors"))
    names, rounds, seed, anomaly_weight = list(weights), arguments.rounds, arguments.seed, arguments.anomaly_weight
    client, server = ClientApp(), ServerApp()
    seen = {}

    @client.train()
    def train_home(message: Message, context: Context):
        # Here and not above: what stands above would be sent to Ray's workers by value.
        from home import Home, rate_in, train

        begin = time.perf_counter()
        place = int(context.node_config["partition-id"])
        round_ = int(message.content["config"]["server-round"]) - 1
        start = dict(zip(names, message.content["arrays"].to_numpy_ndarrays()))
        # Ray starts a node anew in each round: it reads its history each time, as it would at home.
        home = Home(files[place])
        read, cpu = time.perf_counter(), time.process_time()
        end = train(start, home, rate_in(round_, rounds), anomaly_weight, [seed, round_, place])
        trained, trained_cpu = time.perf_counter(), time.process_time()
        arrays = ArrayRecord([end[name] for name in names])
        down = message_bytes(message.content)
        # All homes weigh the same, as in our mean.
        metrics = {"num-examples": 1, "read_s": read - begin, "train_s": trained - read, "cpu_s": trained_cpu - cpu, "down": down}
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)})
        metrics["up"] = message_bytes(content)
        content["metrics"] = MetricRecord(metrics)
        return Message(content=content, reply_to=message)

    class EveryHome(FedAvg):
        """Plain averaging; a home that failed ends the run, where Flower would go on without it."""

        def aggregate_train(self, server_round, replies):
            replies = list(replies)
            failed = [reply.error for reply in replies if reply.has_error()]
            if failed or len(replies) != len(files):
                print(f"round {server_round}: {len(replies)} of {len(files)} homes answered, {failed}", file=sys.stderr)
                os._exit(1)
            return super().aggregate_train(server_round, replies)

    @server.main()
    def main(grid: Grid, context: Context):
        homes = len(files)
        while len(list(grid.get_node_ids())) < homes:
            time.sleep(0.05)
        strategy = EveryHome(
            fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=homes, min_available_nodes=homes
        )
        start = ArrayRecord([weights[name] for name in names])
        begin, cpu = time.perf_counter(), cpu_seconds()
        result = strategy.start(grid=grid, initial_arrays=start, num_rounds=rounds)
        seen["rounds_s"] = time.perf_counter() - begin
        seen["rounds_cpu_s"] = cpu_seconds() - cpu
        seen["metrics"] = [dict(metrics) for _, metrics in sorted(result.train_metrics_clientapp.items())]
        seen["end"] = dict(zip(names, result.arrays.to_numpy_ndarrays()))

    begin = time.perf_counter()
    backend = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": arguments.threads}}
    run_simulation(server, client, num_supernodes=len(files), backend_config=backend)
    whole = time.perf_counter() - begin
    write(seen["end"], arguments.out)
    # The first round loads what PyTorch loads on first use.
    later = seen["metrics"][1:] or seen["metrics"]
    mean = lambda key: float(np.mean([metrics[key] for metrics in later]))
    print(
        json.dumps(
            {
                "homes": len(files),
                "whole_s": whole,
                "rounds_s": seen["rounds_s"],
                "rounds_cpu_s": seen["rounds_cpu_s"],
                "home_train_s": mean("train_s"),
                "home_cpu_s": mean("cpu_s"),
                "home_read_s": mean("read_s"),
                "bytes_down": mean("down"),
                "bytes_up": mean("up"),
            }
        )
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--homes", required=True, help="folder with one file for each home")
    parser.add_argument("--weights", required=True, help="artifact to start from")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--anomaly-weight", type=float, required=True)
    parser.add_argument("--out", required=True, help="where the weights of the last round are written")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
