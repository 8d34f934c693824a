"""A cluster of brokers whose nodes are killed one at a time: leaders, the group's coordinator, the controller move."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import Installation, installation
from tests.support.kafka_cluster import REPLICAS, KafkaCluster, kafka_cluster
from tests.support.load import Load
from tests.support.straight import check_snapshots
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

RECORDS_PER_S = 150
ROLES = ("leader", "coordinator", "controller")  # of a node
KILLS_MIN = 2
RESTART_RATIO = 0.5  # of the kills: a worker must also start while a node is away
AWAY_S = (0.5, 6.0)  # on top of the time until everything goes on without the node
FOLDS_WITHOUT_IT_WITHIN_S = 60.0  # the cluster takes 9 s to give up a node that says nothing
LOG_LINES_MAX_PER_KILL = 300  # of one worker


def test_rows_equal_the_recount_after_leaders_moved_through_a_cluster(
    settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    slowest_s, kills = 0.0, 0
    with kafka_cluster() as cluster:
        own = {"kafka_bootstrap": cluster.bootstrap, "replication_factor": REPLICAS}
        settings = settings.model_copy(update=own)
        with installation(cluster, settings, workers=2) as running:
            with Load(cluster.bootstrap, Traffic(scale.SEED + 6).records, records_per_s=RECORDS_PER_S) as load:
                end_s = time.monotonic() + scale.seconds(1)
                roles: list[str] = []
                while time.monotonic() < end_s or kills < KILLS_MIN:
                    roles = roles or chance.sample(ROLES, len(ROLES))
                    load.keep_on(chance.uniform(1, 3))
                    slowest_s = max(slowest_s, _kill(running, cluster, load, roles.pop(), chance))
                    running.sample_commits()
                    kills += 1
            verdict = compare_when_drained(running.settings)
            running.check_alive()
            lines = max(w.output().count("\n") for w in running.workers.values()) / kills
            figures(
                events=verdict.events,
                records=verdict.records,
                dead_letters=verdict.dead_letters,
                windows=verdict.windows,
                **running.faults,
                commits_checked=running.check_commits(verdict.recount),
                snapshots_checked=check_snapshots(running.settings, verdict.log),
                differences=0,
                folding_again_after_s=slowest_s,
                log_lines_per_kill=int(lines),
                drain_s=verdict.drain_s,
            )
            assert lines < LOG_LINES_MAX_PER_KILL


def _kill(running: Installation, cluster: KafkaCluster, load: Load, role: str, chance: random.Random) -> float:
    """kill -9 of the node that has this role, then its return; seconds until everything was folded without it."""
    settings = running.settings
    if role == "leader":
        number = chance.choice(cluster.leaders("swarm.metrics"))
    elif role == "coordinator":
        number = cluster.coordinator(settings.consumer_group)
    else:
        number = cluster.controller()
    cluster.nodes[number].kill()
    killed_s = time.monotonic()
    running.count(f"{role}s_killed")
    if chance.random() < RESTART_RATIO:
        running.kill(chance.choice(sorted(running.workers)))
    eventually(lambda: number not in cluster.leaders("swarm.metrics"), f"{role} {number} is replaced")
    acknowledged = load.acknowledged
    eventually(lambda: load.acknowledged > acknowledged, "the log takes records", within_s=FOLDS_WITHOUT_IT_WITHIN_S)
    running.folds_on()
    eventually(lambda: running.all_owned() and running.folds_on(), "folded", within_s=FOLDS_WITHOUT_IT_WITHIN_S)
    took_s = time.monotonic() - killed_s
    running.check_alive()
    load.keep_on(chance.uniform(*AWAY_S))
    cluster.nodes[number].start()
    cluster.await_in_sync()
    print(f"{role} {number} {took_s:.1f} s")
    return took_s
