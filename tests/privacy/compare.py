"""Guarantees that `hearthwatch_federation::stated` gave, against those that dp-accounting gives for the same noise.

Started by tests/tests/privacy.rs with a list of terms and epsilons on stdin. Each epsilon must be that of dp-accounting's accountant of Rényi
divergence over the same orders, to within a millionth, and may not lie below that of its accountant of privacy loss
distributions, which is all but exact: ours is an upper bound. Ends with an error at the first that does not.
"""

import functools
import json
import math
import sys

from dp_accounting import dp_event, privacy_accountant
from dp_accounting.pld import pld_privacy_accountant
from dp_accounting.rdp import rdp_privacy_accountant

ORDERS = list(range(2, 513))
RELATIVE = 1e-6
# The exact accountant rounds privacy losses up to its grid; it may lie above ours by so much.
EXACT_SLACK = 0.02
ADD_OR_REMOVE = privacy_accountant.NeighboringRelation.ADD_OR_REMOVE_ONE


def event(multiplier, sampling, rounds):
    one = dp_event.GaussianDpEvent(multiplier)
    if sampling < 1:
        one = dp_event.PoissonSampledDpEvent(sampling, one)
    return dp_event.SelfComposedDpEvent(one, rounds)


# Composing takes seconds where homes are sampled; the same rounds are asked about with several clips and deltas.
@functools.lru_cache(maxsize=None)
def rdp_of(multiplier, sampling, rounds):
    accountant = rdp_privacy_accountant.RdpAccountant(ORDERS, ADD_OR_REMOVE)
    return accountant.compose(event(multiplier, sampling, rounds))


@functools.lru_cache(maxsize=None)
def exact_of(multiplier, sampling, rounds):
    accountant = pld_privacy_accountant.PLDAccountant(ADD_OR_REMOVE, value_discretization_interval=1e-3)
    return accountant.compose(event(multiplier, sampling, rounds))


def rdp(multiplier, sampling, rounds, delta):
    return rdp_of(round(multiplier, 12), sampling, rounds).get_epsilon(delta)


def exact(multiplier, sampling, rounds, delta):
    return exact_of(round(multiplier, 12), sampling, rounds).get_epsilon(delta)


def multipliers(terms):
    """Deviation of the noise over the sensitivity: of the published sum, and of what the server sees."""
    clip, noise = terms["clip"], terms["noise"]
    if terms["noised_by"] == "server":
        return noise / clip, 0.0
    seen = min(terms["seen_together"], terms["homes"])
    # Any two deltas of a home lie within twice the clip.
    return noise * math.sqrt(terms["homes"]) / clip, noise * math.sqrt(seen) / (2 * clip)


def main():
    lines = json.load(sys.stdin)
    checked, worst, loosest = 0, 0.0, 0.0
    for terms in lines:
        published, server = multipliers(terms)
        sampled = (published, terms["sampling"], terms["rounds"], terms["delta"])
        # The server knows who took part.
        known = (server, 1.0, terms["rounds"], terms["delta"])
        for name, arguments in (("published", sampled), ("server", known)):
            ours = terms[name]
            if arguments[0] == 0:
                if ours is not None:
                    raise SystemExit(f"{name} {terms}: noise that is not there promises {ours}")
                checked += 1
                continue
            expected = rdp(*arguments)
            if ours is None or abs(ours - expected) > RELATIVE * max(expected, 1):
                print(f"{name} {terms}: {ours}, dp-accounting has {expected}")
                raise SystemExit(1)
            worst = max(worst, abs(ours - expected) / max(expected, 1))
            # Large losses take the exact accountant minutes and mean nothing.
            if expected < 20:
                least = exact(*arguments)
                if ours < least - EXACT_SLACK:
                    print(f"{name} {terms}: {ours} is below the exact {least}")
                    raise SystemExit(1)
                loosest = max(loosest, ours - least)
            checked += 1
    print(f"{checked} guarantees agree within {worst:.1e}; at most {loosest:.2f} above the exact ones")


if __name__ == "__main__":
    main()
