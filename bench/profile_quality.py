"""Precision and recall of meanings, personal data, keys and findings on labelled tables; false findings counted.

Run: python -m bench.profile_quality [--cases FOLDER]   (FOLDER holds cleaning/hospital, cleaning/beers, tpc/*/*.parquet)
"""

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from datasteward.profiling.model import Profile, ProfileSource
from datasteward.profiling.profile import profile

ROWS = 3_000
_FIRST = [
    "Ana",
    "Bob",
    "Carla",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Henry",
    "Ida",
    "Jack",
    "Karen",
    "Liam",
    "Mia",
    "Noah",
    "Olga",
    "Peter",
    "Ruth",
    "Susan",
    "Thomas",
    "Ursula",
]
_LAST = [
    "Abel",
    "Brandt",
    "Costa",
    "Dumont",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ivanov",
    "Jones",
    "Keller",
    "Lopez",
    "Meyer",
    "Novak",
    "Olsen",
    "Petit",
    "Quist",
    "Rossi",
    "Smith",
    "Tanaka",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A column's values with what they are; `faults` are the codes of the findings that are right."""

    values: Sequence[object]
    meaning: str | None = None
    is_personal: bool = False
    is_key: bool = False
    faults: frozenset[str] = field(default_factory=frozenset)


def _luhn(stem: str) -> str:
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(reversed(stem)))
    return stem + str(-total % 10)


def _iban(r: random.Random) -> str:
    body = "".join(str(r.randrange(10)) for _ in range(18))
    return f"DE{98 - int(body + '131400') % 97:02d}{body}"


def labelled_columns(seed: int = 7) -> dict[str, Labelled]:
    """Clean, dirty and decoy columns by name."""
    r = random.Random(seed)
    n = range(ROWS)
    words = ["lamp", "chair", "table", "shelf", "vase"]
    money = [f"${r.randrange(1, 9999):,}.{r.randrange(100):02d}" for _ in n]
    dirty_key = [f"A{i:06d}" for i in n]
    dirty_key[77] = dirty_key[5]
    return {
        "id": Labelled(values=list(n), is_key=True),
        "reference": Labelled(
            values=[
                f"{r.getrandbits(32):08x}-{r.getrandbits(16):04x}-4{r.getrandbits(12):03x}-8{r.getrandbits(12):03x}-{r.getrandbits(48):012x}"
                for _ in n
            ],
            meaning="UUID",
            is_key=True,
        ),
        "contact": Labelled(
            values=[f"{r.choice(_FIRST)}.{r.choice(_LAST)}{r.randrange(99)}@mail.example".lower() for _ in n],
            meaning="email",
            is_personal=True,
        ),
        "mobile": Labelled(
            values=[f"+49 17{r.randrange(10)} {r.randrange(10**6, 10**7)}" for _ in n],
            meaning="phone",
            is_personal=True,
        ),
        "account": Labelled(values=[_iban(r) for _ in n], meaning="iban", is_personal=True, is_key=True),
        "payment": Labelled(
            values=[_luhn("4" + "".join(str(r.randrange(10)) for _ in range(14))) for _ in n],
            meaning="card number",
            is_personal=True,
            is_key=True,
        ),
        "ssn": Labelled(
            values=[f"{r.randrange(1, 665):03d}-{r.randrange(1, 99):02d}-{r.randrange(1, 9999):04d}" for _ in n],
            meaning="US social security number",
            is_personal=True,
        ),
        "client": Labelled(
            values=[f"{r.choice(_FIRST)} {r.choice(_LAST)}" for _ in n], meaning="person name", is_personal=True
        ),
        "last_name": Labelled(values=[r.choice(_LAST) for _ in n], meaning="person name", is_personal=True),
        "street": Labelled(
            values=[f"{r.randrange(1, 200)} {r.choice(_LAST)} Road" for _ in n],
            meaning="street address",
            is_personal=True,
        ),
        "dob": Labelled(
            values=[f"{r.randrange(1940, 2005)}-{r.randrange(1, 13):02d}-{r.randrange(1, 28):02d}" for _ in n],
            meaning="date of birth",
            is_personal=True,
            faults=frozenset({"date_as_text"}),
        ),
        "client_ip": Labelled(
            values=[f"10.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(256)}" for _ in n],
            meaning="IP address",
            is_personal=True,
        ),
        "homepage": Labelled(values=[f"https://shop.example/p/{r.randrange(10**6)}" for _ in n], meaning="URL"),
        "country": Labelled(values=[r.choice(["DE", "FR", "US", "GB", "JP"]) for _ in n], meaning="country"),
        "currency": Labelled(values=[r.choice(["EUR", "USD", "GBP"]) for _ in n], meaning="currency"),
        "zip": Labelled(values=[f"{r.randrange(100, 99999):05d}" for _ in n], meaning="postcode"),
        "lat": Labelled(values=[round(r.uniform(-80, 80), 5) for _ in n], meaning="latitude"),
        "isbn": Labelled(
            values=["978-0-306-40615-7", "978-3-16-148410-0", "0-306-40615-2"] * (ROWS // 3), meaning="ISBN"
        ),
        # decoys: like something, but not it
        "order_no": Labelled(
            values=[f"{r.randrange(10**15, 10**16)}" for _ in n], is_key=True, faults=frozenset({"integer_as_text"})
        ),
        "part": Labelled(values=[f"{r.randrange(1000, 9999)}-{r.randrange(10, 99)}-{r.randrange(100)}" for _ in n]),
        "version": Labelled(values=[f"{r.randrange(9)}.{r.randrange(20)}.{r.randrange(20)}" for _ in n]),
        "product": Labelled(values=[r.choice(words) for _ in n]),
        "product_name": Labelled(values=[f"{r.choice(words).title()} {r.choice(_LAST)}" for _ in n]),
        "size": Labelled(values=[r.choice(["XS", "S", "M", "L", "XL"]) for _ in n]),
        "ratio": Labelled(values=[r.random() for _ in n]),
        "amount": Labelled(values=[round(r.lognormvariate(3, 1), 2) for _ in n]),
        "count": Labelled(values=[r.randrange(100) for _ in n]),
        "comment": Labelled(values=[" ".join(r.choice(words) for _ in range(6)) for _ in n]),
        "remark": Labelled(
            values=[
                f"please answer {r.choice(_FIRST).lower()}{k}@mail.example soon"
                if r.random() < 0.03
                else f"{r.choice(words)} came late"
                for k in n
            ],
            meaning="text with email addresses",
            is_personal=True,
            faults=frozenset({"personal_in_text"}),
        ),
        "memo": Labelled(
            values=[
                f"parcel {r.randrange(10**15, 10**16)} left at {r.randrange(24):02d}:00, build {r.randrange(9)}.{r.randrange(9)}.{r.randrange(9)}"
                for _ in n
            ]
        ),
        # dirty
        "price": Labelled(values=money, faults=frozenset({"money_as_text"})),
        "ordered_on": Labelled(
            values=[f"{r.randrange(13, 28)}.{r.randrange(1, 13):02d}.2024" for _ in n],
            faults=frozenset({"date_as_text"}),
        ),
        "paid": Labelled(values=[r.choice(["yes", "no"]) for _ in n], faults=frozenset({"boolean_as_text"})),
        "status": Labelled(
            values=[r.choice(["open", "Open", "open ", "closed"]) for _ in n],
            faults=frozenset({"case_variants", "padding"}),
        ),
        "score": Labelled(
            values=[r.choice(["N/A", *map(str, range(40))]) for _ in n],
            faults=frozenset({"null_spelling", "integer_as_text"}),
        ),
        "reading": Labelled(
            values=[-999 if r.random() < 0.03 else r.randrange(40, 60) for _ in n],
            faults=frozenset({"marker_value"}),
        ),
        "invoice_no": Labelled(values=dirty_key, faults=frozenset({"near_key"})),
        "town": Labelled(
            values=[r.choice(["Hamburg"] * 40 + ["Bremen"] * 40 + ["Hamburgg"]) for _ in n],
            faults=frozenset({"misspelling"}),
        ),
    }


@dataclass(slots=True)
class Tally:
    """Right, false and missed ones."""

    right: int = 0
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def note(self, name: str, found: bool, meant: bool) -> None:
        """Count one decision."""
        if found and meant:
            self.right += 1
        elif found:
            self.false.append(name)
        elif meant:
            self.missed.append(name)

    def __str__(self) -> str:
        precision = self.right / max(1, self.right + len(self.false))
        recall = self.right / max(1, self.right + len(self.missed))
        return f"precision {precision:.3f} recall {recall:.3f} (right {self.right}, false {self.false}, missed {self.missed})"


def judge(made: Profile, labels: dict[str, Labelled], tallies: dict[str, Tally]) -> None:
    """Count what the profile got right."""
    for name, label in labels.items():
        column = made.column(name)
        found = column.meaning.kind if column.meaning else None
        tallies["meaning"].note(
            f"{name}: {found}", found is not None, found == label.meaning and label.meaning is not None
        )
        if (found is not None and label.meaning is not None and found != label.meaning) or (
            found is None and label.meaning is not None
        ):
            tallies["meaning"].missed.append(f"{name}: {label.meaning}")
        tallies["personal data"].note(name, column.is_sensitive, label.is_personal)
        if label.is_key or len(set(label.values)) < ROWS:
            tallies["keys"].note(name, column.is_key, label.is_key)
        codes = {f.code for f in made.findings if f.column == name}
        for code in codes | label.faults:
            tallies["findings"].note(f"{name}: {code}", code in codes, code in label.faults)


def judge_cleaning(folder: Path) -> None:
    """Columns of the outside dirty tables that differ from the clean ones: how many have a finding, and how many others have."""
    for name in ("hospital", "beers"):
        dirty, clean = folder / "cleaning" / name / "dirty.csv", folder / "cleaning" / name / "clean.csv"
        if not dirty.exists():
            print(f"{name}: not here")
            continue
        base = duckdb.connect()
        base.execute(f"CREATE TABLE t AS SELECT * FROM read_csv('{dirty}')")
        base.execute(f"CREATE TABLE c AS SELECT * FROM read_csv('{clean}', all_varchar=true)")
        made = profile(base.cursor(), ProfileSource(name="t", table_sql="t"))
        columns = [c.name for c in made.columns]
        others = [r[0] for r in base.execute("DESCRIBE c").fetchall()]
        changed = {
            a: (
                base.execute(
                    f'SELECT count(*) FROM t POSITIONAL JOIN c WHERE t."{a}"::VARCHAR IS DISTINCT FROM c."{b}"'
                ).fetchone()
                or (0,)
            )[0]
            for a, b in zip(columns, others, strict=True)
        }
        found = Counter(f.column for f in made.findings)
        hit = [c for c in columns if changed[c] and found[c]]
        print(f"{name}: {len(hit)} of {sum(1 for c in columns if changed[c])} dirty columns have a finding; "
              f"clean columns with one: {[c for c in columns if not changed[c] and found[c]]}; missed: {[c for c in columns if changed[c] and not found[c]]}")  # fmt: skip


def judge_generated(folder: Path) -> None:
    """Findings on the tables of TPC-H and TPC-DS, which are made by rule: grave and medium ones are false or odd, by code."""
    found: Counter[str] = Counter()
    columns = 0
    for path in sorted((folder / "tpc").glob("*/*.parquet")):
        source = ProfileSource(name=path.stem, table_sql=f"read_parquet('{path}')", format="parquet")
        made = profile(duckdb.connect().cursor(), source)
        columns += len(made.columns)
        found.update(f"{f.severity} {f.code}" for f in made.findings)
    print(f"generated tables, {columns} columns: {dict(found.most_common())}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=Path)
    options = parser.parse_args()
    import pyarrow as pa

    tallies = {k: Tally() for k in ("meaning", "personal data", "keys", "findings")}
    for seed in (7, 8, 9):
        labels = labelled_columns(seed)
        base = duckdb.connect()
        table = pa.table({k: v.values for k, v in labels.items()})
        base.register("labelled", table)
        base.execute("CREATE TABLE t AS SELECT * FROM labelled")
        judge(profile(base.cursor(), ProfileSource(name="t", table_sql="t")), labels, tallies)
    for name, tally in tallies.items():
        print(f"{name}: {tally}")
    if options.cases:
        judge_cleaning(options.cases)
        judge_generated(options.cases)


if __name__ == "__main__":
    main()
