"""What `measure.py` measures, one part after the other."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agent
import aggregator
import fleet
import images
from engine import Limits

PROCESSORS = [1.0, 0.5, 0.25, 0.1]
AGENT_MIB, AGGREGATOR_MIB = 64, 1024
# Less than any of these is enough for nobody; the search begins above it.
AGENT_LOW, AGGREGATOR_LOW, TRAINING_LOW = 5, 8, 64
# Without a training run this is more than enough; it is tried first.
AGGREGATOR_HIGH = 128
TRAINING_HOMES = 10


class Bench:
    """The parts, with what was asked for; `add` takes each figure."""

    def __init__(self, given: argparse.Namespace, names: dict[str, str], add: Callable[[str, dict[str, Any]], None]) -> None:
        self.given = given
        self.add = add
        program = images.file_of(names["agent"], "hearthwatch-edge")
        self.home = agent.Setting(names["agent"], program, given.folder, Path(__file__).resolve().parent)
        self.cloud = fleet.Setting(names, given.programs, given.folder, given.corpus.resolve())
        own = AGENT_MIB if given.what in ("agent", "limits", "processors", "rest") else AGGREGATOR_MIB
        self.limits = Limits(given.memory or own, given.cpus)
        self.bounds = {"memory_mib": self.limits.memory_mib, "cpus": given.cpus}

    def run(self) -> None:
        parts: dict[str, Callable[[], None]] = {
            "agent": self.agent,
            "limits": self.agent_limits,
            "processors": self.processors,
            "rest": self.rest,
            "aggregator": self.aggregator,
            "training": self.training,
            "cloud-limits": self.cloud_limits,
        }
        parts[self.given.what]()

    def each(self, sizes: list[int]) -> list[int]:
        """All sizes, as often as was asked for, in turns: what the machine does meanwhile strikes all alike."""
        return sizes * int(self.given.repetitions)

    def agent(self) -> None:
        for entities in self.each(self.given.entities):
            self.add("agent", {"entities": entities, **self.bounds, **agent.day(self.home, f"agent-{entities}", entities, self.limits)})

    def agent_limits(self) -> None:
        for entities in self.each(self.given.entities):
            least = agent.least_memory(self.home, f"limit-{entities}", entities, AGENT_LOW, self.limits)
            self.add("agent-memory", {"entities": entities, "cpus": self.given.cpus, "least_mib": least})

    def processors(self) -> None:
        for entities in self.each(self.given.entities):
            for cpus in PROCESSORS:
                figures = agent.day(self.home, f"processors-{entities}", entities, Limits(self.limits.memory_mib, cpus))
                self.add("agent-processors", {"entities": entities, "memory_mib": self.limits.memory_mib, "cpus": cpus, **figures})

    def rest(self) -> None:
        asked = self.given
        for figures in agent.at_rest(self.home, asked.entities, asked.repetitions, asked.minutes, self.limits, asked.every):
            self.add("agent-rest", {**self.bounds, "every_s": asked.every, **figures})

    def aggregator(self) -> None:
        for count in self.each(self.given.homes):
            figures = aggregator.homes(self.cloud, count, self.limits, self.given.seconds, self.given.seconds)
            self.add("aggregator", {**self.bounds, **figures})

    def training(self) -> None:
        sets = sum(1 for path in self.cloud.corpus.iterdir() if path.is_dir())
        for _ in range(self.given.repetitions):
            self.add("training", {"sets": sets, **self.bounds, **aggregator.training(self.cloud, TRAINING_HOMES, self.given.answers, self.limits)})

    def cloud_limits(self) -> None:
        most, cpus = self.limits.memory_mib, self.given.cpus
        for count in self.each(self.given.homes):
            least = aggregator.least(self.cloud, count, AGGREGATOR_LOW, min(most, AGGREGATOR_HIGH), cpus, train=False)
            self.add("aggregator-memory", {"homes": count, "cpus": cpus, "trains": False, "least_mib": least})
        least = aggregator.least(self.cloud, TRAINING_HOMES, TRAINING_LOW, most, cpus, train=True)
        self.add("aggregator-memory", {"homes": TRAINING_HOMES, "cpus": cpus, "trains": True, "least_mib": least})
