"""What stands around the findings: percentile intervals, pass^k, places, reversals, one number from strata."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.compare.align import Aligned
from reports.compare.engine import ComparisonInput, compare_strata, compare_swarms
from reports.compare.quantiles import quantile_difference
from reports.compare.ranking import ranking
from reports.compare.ranks import bounding_ranks, bounds
from reports.compare.reliability import pass_hat_k
from reports.compare.reversal import reversals, reversed_strata
from reports.compare.stratified import stratified
from reports.queries.port import TaskRow


def task(
    swarm: str,
    name: str,
    duration_ms: float,
    *,
    repeats: int = 1,
    successes: int = 1,
    task_class: str = "",
    started_ms: int | None = None,
    provenance: str = "measured",
) -> TaskRow:
    return TaskRow(
        *(swarm, name, True, repeats, repeats, successes, repeats, duration_ms),
        *(None, None, None, None, None, (provenance,), (), task_class, started_ms),
    )


def data_of(*rows: TaskRow) -> ComparisonInput:
    return ComparisonInput(rows, (), (), {})


def test_the_ranks_around_a_median_of_ten_are_the_tabled_ones() -> None:
    assert bounding_ranks(10, 0.5) == (2, 9)  # 97.9 %; 3 to 8 would be 89.1 %
    assert bounding_ranks(5, 0.5) is None  # 93.8 %: five values cannot

    assert bounding_ranks(59, 0.95) is None, "no value of 59 lies above the 95th percentile surely enough"


@pytest.mark.parametrize("paired", [True, False])
def test_percentile_intervals_hold_what_they_promise(paired: bool) -> None:
    rng, covered, widths = np.random.default_rng(7), 0, []
    for _ in range(400):
        shared = rng.normal(0, 1, 200) if paired else 0.0
        a, b = (np.exp(shared + rng.normal(0, 0.6, 200)) for _ in range(2))
        interval = quantile_difference(Aligned(a, b, (), paired, 0, 0, 0, 0), bounds(a, 0.95), bounds(b, 0.95))
        assert interval is not None
        covered += interval[0] <= 0 <= interval[1]
        widths.append(interval[1] - interval[0])
    assert covered / 400 >= 0.93  # 0.95 less 1.8 standard errors


def test_pass_k_is_the_chance_that_all_of_k_attempts_succeed() -> None:
    rows = [task("a", "1", 1, repeats=4, successes=4), task("a", "2", 1, repeats=4, successes=2)]
    found = {one.k: one.value for one in pass_hat_k("a", rows)}
    assert found == pytest.approx({1: 0.75, 2: (1 + 1 / 6) / 2, 3: 0.5, 4: 0.5})
    assert all(one.low <= one.value <= one.high for one in pass_hat_k("a", rows))


def test_pass_k_goes_no_further_than_every_task_was_tried_and_counts_a_task_once() -> None:
    rows = [task("a", "1", 1, repeats=100, successes=100), task("a", "2", 1, repeats=1, successes=0)]
    (only,) = pass_hat_k("a", rows)
    assert (only.k, only.value, only.tasks, only.attempts) == (1, 0.5, 2, 101)


def test_sides_that_were_not_shown_to_differ_share_their_places() -> None:
    rng = np.random.default_rng(3)
    levels = {"fast": 1.0, "as-fast": 1.0, "slow": 3.0}
    rows = [task(s, f"t{i}", level * float(rng.lognormal(0, 0.3))) for s, level in levels.items() for i in range(60)]
    findings, _ = compare_swarms(list(levels), data_of(*rows))
    places = {p.side: (p.first, p.last) for p in ranking("task_duration", list(levels), findings)}
    assert places == {"fast": (1, 2), "as-fast": (1, 2), "slow": (3, 3)}


def test_declared_numbers_get_no_place() -> None:
    rng = np.random.default_rng(3)
    rows = [task(s, f"t{i}", float(rng.lognormal(0, 0.3))) for s in ("a", "b") for i in range(30)]
    rows += [task("said", f"t{i}", 0.001, provenance="declared") for i in range(30)]
    findings, _ = compare_swarms(["a", "b", "said"], data_of(*rows))
    places = {p.side: p for p in ranking("task_duration", ["a", "b", "said"], findings)}
    assert places["said"].first is None
    assert "declared, not measured" in places["said"].why
    assert {places["a"].last, places["b"].last} == {2}


def paradox() -> list[TaskRow]:
    """a is slower in either class, and faster over everything: it did mostly the small tasks."""
    rng = np.random.default_rng(5)
    rows = []
    for side, small, large, factor in (("a", 180, 20, 1.3), ("b", 20, 180, 1.0)):
        for name, count, level in (("small", small, 1.0), ("large", large, 10.0)):
            rows += [
                task(side, f"{side}-{name}-{i}", factor * level * float(rng.lognormal(0, 0.1)), task_class=name)
                for i in range(count)
            ]
    return rows


def test_a_finding_that_turns_round_in_the_classes_is_warned_of() -> None:
    rows = paradox()
    findings, _ = compare_swarms(["a", "b"], data_of(*rows))
    assert next(f for f in findings if f.metric == "task_duration").verdict == "better"
    found = reversals(findings, rows)
    assert {(one.metric, one.part) for one in found} == {
        ("task_duration", "task_class=small"),
        ("task_duration", "task_class=large"),
    }
    assert "the mix decides" in found[0].text


def test_strata_show_the_reversal_and_their_common_number_is_the_true_one() -> None:
    rows = paradox()
    parts = {f"task_class={n}": data_of(*(r for r in rows if r.task_class == n)) for n in ("small", "large")}
    findings, _ = compare_strata([("a", "b")], data_of(*rows), parts, metrics=["task_duration"])
    verdicts = {f.stratum: f.verdict for f in findings}
    assert verdicts == {"": "better", "task_class=small": "worse", "task_class=large": "worse"}
    assert {f.tests_corrected for f in findings} == {3}
    assert len(reversed_strata(findings)) == 2
    (pooled,) = stratified(findings)
    assert pooled.low < 1.3 < pooled.high
    assert (pooled.scale, pooled.strata) == ("ratio", 2)


def test_a_finding_that_holds_in_every_part_is_not_warned_of() -> None:
    rng = np.random.default_rng(6)
    rows = [
        task(s, f"t{i}", level * float(rng.lognormal(0, 0.4)), task_class=f"c{i % 4}", started_ms=i)
        for s, level in (("a", 1.5), ("b", 1.0))
        for i in range(200)
    ]
    findings, _ = compare_swarms(["a", "b"], data_of(*rows))
    assert reversals(findings, rows) == ()


def test_a_finding_that_turns_round_in_half_of_the_time_is_warned_of() -> None:
    rng = np.random.default_rng(8)
    rows = []
    for i in range(200):
        factor = 3.0 if i < 100 else 0.7
        rows.append(task("a", f"t{i}", factor * float(rng.lognormal(0, 0.2)), started_ms=i))
        rows.append(task("b", f"t{i}", float(rng.lognormal(0, 0.2)), started_ms=i))
    findings, _ = compare_swarms(["a", "b"], data_of(*rows))
    assert [one.part for one in reversals(findings, rows)] == ["the later half of the time"]


def test_halves_that_hold_different_tasks_are_no_halves_of_a_paired_finding() -> None:
    rng = np.random.default_rng(9)
    rows = []
    for i in range(100):
        level = 1.0 if i < 50 else 100.0
        rows.append(task("a", f"t{i}", 2 * level * float(rng.lognormal(0, 0.1)), started_ms=i))
        rows.append(task("b", f"t{i}", level * float(rng.lognormal(0, 0.1)), started_ms=100 - i))
    findings, _ = compare_swarms(["a", "b"], data_of(*rows))
    assert all(f.paired for f in findings)
    assert reversals(findings, rows) == ()


def test_success_of_a_stratum_keeps_its_own_corrected_p_value() -> None:
    rows = [task(s, f"t{i}", 1.0, successes=int(s == "a" or i % 2)) for s in ("a", "b") for i in range(60)]
    part = data_of(*(replace(row, task_class="x") for row in rows if int(row.task_id[1:]) < 20))
    _, successes = compare_strata([("a", "b")], data_of(*rows), {"x": part}, metrics=["task_success"])
    whole, stratum = successes
    assert (whole.n, stratum.n, stratum.stratum) == (60, 20, "x")
    assert whole.p_adjusted != stratum.p_adjusted
