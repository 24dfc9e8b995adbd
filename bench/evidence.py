"""Evidence checker: sentences per second, precision and recall, and how often a random wrong figure is let through."""

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.evidence_cases import MemoryResults, load_cases, load_results, make_table, score_cases

from datasteward.evidence.check import check_answer


def measure_quality() -> None:
    cases = load_cases()
    results = load_results()
    started = time.process_time()
    score = score_cases(cases, results)
    seconds = time.process_time() - started
    print(
        f"cases: {len(cases)}, right figures {score.right}, wrong figures {score.wrong}, not checkable {score.skipped}"
    )
    print(f"right figures accepted: {score.recall_of_right:.4f}")
    print(f"wrong figures caught:   {score.recall_of_wrong:.4f}")
    print(f"precision of alarms:    {score.precision_of_alarms:.4f}")
    print(f"one answer a call, results scanned each time: {len(cases) / seconds:,.0f} cases a CPU-second")


def measure_speed() -> None:
    rows = [[f"Shop {i}", str(i * 37 % 9973), f"{i * 13.37:.2f}"] for i in range(1000)]
    table = make_table("r1", [["shop", "VARCHAR"], ["orders", "BIGINT"], ["revenue", "DOUBLE"]], rows)
    text = "\n".join(f"Shop {i} had {rows[i][1]} orders and a revenue of {rows[i][2]} [r1]." for i in range(500))
    started = time.process_time()
    report = check_answer(text, MemoryResults(tables={"r1": table}))
    seconds = time.process_time() - started
    print(
        f"500 sentences on a 1000 x 3 result: {500 / seconds:,.0f} sentences a CPU-second, {report.count('backed')} backed"
    )


def measure_false_accepts() -> None:
    """Random figures in sentences full of cues, on a 50 x 8 result: few may be "derived"."""
    draw = random.Random(7)
    names = ["revenue", "orders", "visits", "refunds", "costs", "profit", "clicks", "returns"]
    rows = [[f"City {chr(65 + i % 26)}{i}", *(str(draw.randrange(100, 100_000)) for _ in names)] for i in range(50)]
    table = make_table("r1", [["city", "VARCHAR"], *([n, "BIGINT"] for n in names)], rows)
    results = MemoryResults(tables={"r1": table})
    wordings = [
        "{a} took {n:,} more {c} than {b} [r1].",
        "In total there were {n:,} {c} [r1].",
        "{c} rose by {p}% from {a} to {b} [r1].",
        "{a} accounts for {p}% of all {c} [r1].",
        "{a} had {n:,} {c} [r1].",
        "The average was {n:,} [r1].",
    ]
    let_through = 0
    for i in range(1200):
        a, b = draw.sample(rows, 2)
        text = wordings[i % len(wordings)].format(
            a=a[0], b=b[0], c=draw.choice(names), n=draw.randrange(100, 100_000), p=draw.randrange(10, 990) / 10
        )
        verdicts = check_answer(text, results).verdicts
        assert verdicts, text
        let_through += any(v.status in ("backed", "derived") for v in verdicts)
    print(f"random figures let through: {let_through} of 1200 ({let_through / 12:.2f} %)")


if __name__ == "__main__":
    measure_quality()
    measure_speed()
    measure_false_accepts()
