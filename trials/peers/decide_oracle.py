"""Runs in the environment `oracles`: rankings by pymcdm, queues by simpy; JSON in and out."""

import json
import random
import sys

import numpy as np
import simpy
from pymcdm.methods import WSM


def ranking(scores, weights):
    """Places, 1 is best, by the weighted sum; scores are profits already on their scale."""
    method = WSM(normalization_function=lambda column, cost: column / 100)  # anchored, not relative
    values = method(np.array(scores), np.array(weights), np.ones(len(weights)))
    return [float(it) for it in method.rank(values)]


def queue(erlangs, slots, service_s, customers, lost, kind, seed):
    """Share of customers that find all taken (lost) or wait, and the p99 of their wait."""
    lots = random.Random(seed)  # noqa: S311  # a simulation, repeatable
    env = simpy.Environment()
    place = simpy.Resource(env, capacity=slots)
    full, waits = [0], []

    def served():
        if kind == "fixed":
            return service_s
        return lots.expovariate(1 / service_s)

    def customer():
        came = env.now
        if place.count == slots:
            full[0] += 1
            if lost:
                return
        with place.request() as turn:
            yield turn
            waits.append(env.now - came)
            yield env.timeout(served())

    def arrivals():
        for _ in range(customers):
            yield env.timeout(lots.expovariate(erlangs / service_s))
            env.process(customer())

    env.process(arrivals())
    env.run()
    p99 = float(np.quantile(waits, 0.99)) if waits else 0.0
    return {"full": full[0] / customers, "wait_p99_s": p99}


asked = json.load(sys.stdin)
json.dump(
    {
        "rankings": [ranking(it["scores"], it["weights"]) for it in asked["rankings"]],
        "queues": [queue(**it) for it in asked["queues"]],
    },
    sys.stdout,
)
