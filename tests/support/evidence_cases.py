"""The evidence checker's own test set: the results, the cases, and how a verdict is scored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasteward.evidence.check import check_answer
from datasteward.evidence.model import EvidenceReport, ResultTable, TableColumn

FOLDER = Path(__file__).resolve().parents[1] / "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryResults:
    """Results held in memory."""

    tables: dict[str, ResultTable]

    def handles(self) -> Sequence[str]:
        return tuple(self.tables)

    def read(self, handle: str) -> ResultTable | None:
        return self.tables.get(handle)


def make_table(
    handle: str, columns: Sequence[Sequence[str]], rows: Sequence[Sequence[str | None]], sql: str = ""
) -> ResultTable:
    named = tuple(TableColumn(name=name, type=type_) for name, type_ in columns)
    return ResultTable(handle=handle, columns=named, rows=[tuple(r) for r in rows], row_count=len(rows), sql=sql)


def load_results() -> MemoryResults:
    raw = json.loads((FOLDER / "results.json").read_text())
    return MemoryResults(tables={h: make_table(h, t["columns"], t["rows"], t.get("sql", "")) for h, t in raw.items()})


def load_cases() -> list[dict[str, object]]:
    names = ("cases.jsonl", "cases_by_hand.jsonl")
    return [json.loads(line) for name in names for line in (FOLDER / name).read_text().splitlines() if line.strip()]


@dataclass(slots=True, kw_only=True)
class Score:
    right: int = 0
    right_accepted: int = 0
    wrong: int = 0
    wrong_caught: int = 0
    skipped: int = 0
    skipped_rightly: int = 0
    misses: list[str]

    @property
    def recall_of_right(self) -> float:
        return self.right_accepted / max(1, self.right)

    @property
    def recall_of_wrong(self) -> float:
        return self.wrong_caught / max(1, self.wrong)

    @property
    def precision_of_alarms(self) -> float:
        alarms = self.wrong_caught + (self.right - self.right_accepted)
        return self.wrong_caught / max(1, alarms)


def score_cases(cases: Sequence[dict[str, object]], results: MemoryResults) -> Score:
    score = Score(misses=[])
    for case in cases:
        report = check_answer(str(case["text"]), results)
        for expected in case["expect"]:  # type: ignore[attr-defined]
            _score_figure(score, case, report, expected[0], expected[1])
    return score


def _score_figure(score: Score, case: dict[str, object], report: EvidenceReport, written: str, truth: str) -> None:
    found = [v for v in report.verdicts if v.figure.text == written]
    status = found[0].status if found else "absent"
    is_accepted = status in ("backed", "derived")
    if truth == "right":
        score.right += 1
        score.right_accepted += is_accepted
        is_good = is_accepted
    elif truth == "wrong":
        score.wrong += 1
        is_good = status == "not_found"
        score.wrong_caught += is_good
    else:
        score.skipped += 1
        is_good = status in ("not_checkable", "absent")
        score.skipped_rightly += is_good
    if not is_good:
        seen = found[0].describe() if found else f"figures: {[v.figure.text for v in report.verdicts]}"
        score.misses.append(f"{truth} {written!r} in {case['text']!r}: {seen}")
