"""Writes cases.jsonl: sentences about results.json with right and wrong figures. Run it after changing a wording."""

import json
import random
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

FOLDER = Path(__file__).parent
RESULTS = json.loads((FOLDER / "results.json").read_text())
RANDOM = random.Random(20240611)
SPELL = {0: "1", 1: "0.1", 2: "0.01"}


def column(handle: str, name: str) -> list[str]:
    at = [c[0] for c in RESULTS[handle]["columns"]].index(name)
    return [row[at] for row in RESULTS[handle]["rows"]]


def rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def plain(value: Decimal, decimals: int) -> str:
    return f"{rounded(value, decimals):,}"


def german(value: Decimal, decimals: int) -> str:
    return plain(value, decimals).translate(str.maketrans(",.", ".,"))


def french(value: Decimal, decimals: int) -> str:
    return plain(value, decimals).replace(",", "\u202f").replace(".", ",")


def millions(value: Decimal, decimals: int) -> str:
    return f"{rounded(value / 10**6, 2)}M"


def thousands(value: Decimal, decimals: int) -> str:
    return f"{rounded(value / 1000, 1)}k"


def dollars(value: Decimal, decimals: int) -> str:
    return f"${plain(value, decimals)}"


def euros(value: Decimal, decimals: int) -> str:
    return f"€{plain(value, decimals)}"


def percent(value: Decimal, decimals: int) -> str:
    return f"{rounded(value, decimals)}%"


def spaced_percent(value: Decimal, decimals: int) -> str:
    return f"{rounded(value, decimals)} percent"


def points(value: Decimal, decimals: int) -> str:
    return f"{rounded(value, decimals)} percentage points"


def times(value: Decimal, decimals: int) -> str:
    return f"{rounded(value, decimals)} times"


Form = Callable[[Decimal, int], str]


def disturb(value: Decimal, decimals: int) -> Decimal:
    """A value that looks alike and is wrong by more than rounding: a digit off, two swapped, or a few percent."""
    step = Decimal(1).scaleb(-decimals)
    way = RANDOM.randrange(3)
    if way == 0:
        return value + step * RANDOM.choice((-7, -4, 3, 6)) + value * Decimal("0.04")
    if way == 1:
        return value * Decimal(RANDOM.choice(("1.13", "0.88", "1.31", "0.71"))) + 3 * step
    return value * Decimal(RANDOM.choice(("1.07", "0.93"))) + 5 * step


def both(template: str, value: Decimal, form: Form, decimals: int) -> Iterator[dict[str, object]]:
    """The sentence once with the right figure and once with a wrong one."""
    right = form(value, decimals)
    yield {"text": template.format(right), "expect": [[right, "right"]]}
    wrong = form(disturb(value, decimals), decimals)
    if wrong != right:
        yield {"text": template.format(wrong), "expect": [[wrong, "wrong"]]}


def lookups() -> Iterator[dict[str, object]]:
    wordings: list[tuple[str, str, str, list[tuple[Form, int]], list[str]]] = [
        ("r1", "region", "revenue", [(dollars, 2), (plain, 0), (millions, 2), (german, 2), (french, 0)],
         ["Revenue in the {key} came to {{}} [r1].", "The {key} region brought in {{}} in revenue [r1].",
          "With {{}}, {key} shows what a sales team can do [r1].", "- **{key}**: {{}} of revenue [r1]"]),
        ("r1", "region", "orders", [(plain, 0)],
         ["{key} placed {{}} orders [r1].", "We counted {{}} orders from the {key} [r1].",
          "Orders were at {{}} for {key}, which nobody had expected [r1]."]),
        ("r3", "product_line", "sales_2024", [(plain, 0), (thousands, 1)],
         ["{key} sold {{}} units in 2024 [r3].", "Sales of {key} in 2024 reached {{}} [r3]."]),
        ("r3", "product_line", "margin_pct", [(percent, 1), (spaced_percent, 2)],
         ["The margin on {key} is {{}} [r3].", "{key} earn a margin of {{}} [r3]."]),
        ("r6", "city", "visits", [(plain, 0), (thousands, 1)],
         ["The shop in {key} had {{}} visits [r6].", "{key} saw {{}} visits last month [r6]."]),
        ("r6", "city", "rating", [(plain, 1), (plain, 2)], ["{key} has a rating of {{}} [r6].", "Customers rate {key} at {{}} [r6]."]),
        ("r4", "year", "headcount", [(plain, 0)],
         ["In {key} we were {{}} people by headcount [r4].", "Headcount at the end of {key}: {{}} [r4]."]),
    ]  # fmt: skip
    for handle, key_name, value_name, forms, templates in wordings:
        for i, (key, value) in enumerate(zip(column(handle, key_name), column(handle, value_name), strict=True)):
            form, decimals = forms[i % len(forms)]
            for template in templates:
                yield from both(template.format(key=key), Decimal(value), form, decimals)


def misplaced() -> Iterator[dict[str, object]]:
    """Values that exist, in another row or column."""
    for handle, key_name, value_name, noun in (("r1", "region", "revenue", "revenue"), ("r1", "region", "orders", "orders"),
                                               ("r6", "city", "visits", "visits"), ("r6", "city", "purchases", "purchases")):  # fmt: skip
        keys, values = column(handle, key_name), column(handle, value_name)
        for i, key in enumerate(keys):
            other = plain(Decimal(values[(i + 1) % len(keys)]), 0)
            yield {"text": f"{key} had {noun} of {other} [{handle}].", "expect": [[other, "wrong"]]}
    for key, visits, bought in zip(
        column("r6", "city"), column("r6", "visits"), column("r6", "purchases"), strict=True
    ):
        a, b = plain(Decimal(visits), 0), plain(Decimal(bought), 0)
        yield {"text": f"In {key}, {a} visits led to {b} purchases [r6].", "expect": [[a, "right"], [b, "right"]]}
        yield {"text": f"In {key}, {b} visits led to {a} purchases [r6].", "expect": [[a, "wrong"], [b, "wrong"]]}


def comparisons() -> Iterator[dict[str, object]]:
    keys = column("r1", "region")
    orders = [Decimal(v) for v in column("r1", "orders")]
    revenue = [Decimal(v) for v in column("r1", "revenue")]
    rates = [Decimal(v) for v in column("r1", "refund_rate")]
    for i in range(4):
        a, b = keys[i], keys[i + 1]
        yield from both(f"{a} took {{}} more orders than {b} [r1].", orders[i] - orders[i + 1], plain, 0)
        yield from both(
            f"The gap in revenue between {a} and {b} is {{}} [r1].", abs(revenue[i] - revenue[i + 1]), dollars, 0
        )
        yield from both(
            f"{b}'s orders are {{}} lower than those of {a} [r1].", (1 - orders[i + 1] / orders[i]) * 100, percent, 1
        )
        yield from both(f"{a} had {{}} as many orders as {b} [r1].", orders[i] / orders[i + 1], times, 1)
        high, low = (a, b) if rates[i] > rates[i + 1] else (b, a)
        gap = abs(rates[i] - rates[i + 1]) * 100
        yield from both(f"The refund rate in {high} is {{}} above that in {low} [r1].", gap, points, 1)
        wrong = percent(gap, 1)
        yield {"text": f"The refund rate in {high} is {wrong} higher than in {low} [r1].", "expect": [[wrong, "wrong"]]}
        more = plain(abs(orders[i] - orders[i + 1]), 0)
        yield {"text": f"{b} took {more} more orders than {a} [r1].", "expect": [[more, "wrong"]]}
    for key, part in zip(keys, revenue, strict=True):
        share = part / sum(revenue) * 100
        yield from both(f"{key} accounts for {{}} of all revenue [r1].", share, percent, 1)
        yield from both(f"{{}} of total revenue is made in the {key} [r1].", share, percent, 0)


def growth() -> Iterator[dict[str, object]]:
    months = ["January", "February", "March", "April", "May", "June"]
    revenue = [Decimal(v) for v in column("r2", "revenue")]
    people = [Decimal(v) for v in column("r2", "new_customers")]
    for i in range(1, 6):
        change = (revenue[i] / revenue[i - 1] - 1) * 100
        verb, opposite = ("grew", "fell") if change > 0 else ("fell", "grew")
        now, before = f"{months[i]} 2024", f"{months[i - 1]} 2024"
        yield from both(f"From {before} to {now}, revenue {verb} by {{}} [r2].", abs(change), percent, 1)
        yield from both(f"In {now} revenue {verb} {{}} against {before} [r2].", abs(change), percent, 2)
        turned = percent(abs(change), 1)
        yield {"text": f"From {before} to {now}, revenue {opposite} by {turned} [r2].", "expect": [[turned, "wrong"]]}
        as_points = points(abs(change), 1)
        yield {"text": f"From {before} to {now}, revenue {verb} by {as_points} [r2].", "expect": [[as_points, "wrong"]]}
        more = people[i] - people[i - 1]
        word = "more" if more > 0 else "fewer"
        yield from both(f"We won {{}} {word} new customers in {now} than in {before} [r2].", abs(more), plain, 0)
    for line, old, new in zip(
        column("r3", "product_line"), column("r3", "sales_2023"), column("r3", "sales_2024"), strict=True
    ):
        change = (Decimal(new) / Decimal(old) - 1) * 100
        verb = "rose" if change > 0 else "dropped"
        yield from both(f"Sales of {line} {verb} by {{}} year on year [r3].", abs(change), percent, 1)


def totals() -> Iterator[dict[str, object]]:
    facts = [("r1", "orders", "orders", plain, 0), ("r1", "revenue", "revenue", dollars, 2), ("r1", "revenue", "revenue", millions, 2),
             ("r2", "new_customers", "new customers", plain, 0), ("r6", "visits", "visits", plain, 0),
             ("r6", "purchases", "purchases", plain, 0)]  # fmt: skip
    for handle, name, noun, form, decimals in facts:
        values = [Decimal(v) for v in column(handle, name)]
        yield from both(f"In total there were {{}} {noun} [{handle}].", sum(values, Decimal(0)), form, decimals)
        yield from both(f"Total {noun} across everything: {{}} [{handle}].", sum(values, Decimal(0)), form, decimals)
        yield from both(
            f"On average, {noun} stood at {{}} [{handle}].",
            sum(values, Decimal(0)) / len(values),
            form,
            max(decimals, 1),
        )
        yield from both(f"The highest {noun} value was {{}} [{handle}].", max(values), form, decimals)
        yield from both(f"The lowest {noun} value was {{}} [{handle}].", min(values), form, decimals)
        second = form(sorted(values)[-2], decimals)
        yield {"text": f"The highest {noun} value was {second} [{handle}].", "expect": [[second, "wrong"]]}
    for noun, handle, count in (
        ("regions", "r1", 5),
        ("cities", "r6", 5),
        ("product lines", "r3", 5),
        ("months", "r2", 6),
    ):
        yield {"text": f"The data covers {count} {noun} [{handle}].", "expect": [[str(count), "right"]]}
        yield {"text": f"The data covers {count + 2} {noun} [{handle}].", "expect": [[str(count + 2), "wrong"]]}


def tables() -> Iterator[dict[str, object]]:
    for handle, key, names in (("r1", "region", ("orders", "revenue")), ("r6", "city", ("visits", "rating")),
                               ("r3", "product_line", ("sales_2023", "sales_2024"))):  # fmt: skip
        for wrong_row in (0, 2, 4):
            lines, expect = [f"| {key} | {names[0]} | {names[1]} |", "|---|---:|---:|"], []
            for i, (k, a, b) in enumerate(
                zip(column(handle, key), column(handle, names[0]), column(handle, names[1]), strict=True)
            ):
                shown_a, shown_b = plain(Decimal(a), 0), b
                expect.append([shown_a, "right"])
                if i == wrong_row:
                    shown_b = str(Decimal(b) + Decimal("7.31"))
                    expect.append([shown_b, "wrong"])
                lines.append(f"| {k} | {shown_a} | {shown_b} |")
            yield {"text": "\n".join(lines) + f"\n\nSource: [{handle}]", "expect": expect}


def main() -> None:
    parts = (lookups, misplaced, comparisons, growth, totals, tables)
    cases = [case for part in parts for case in part()]
    lines = [json.dumps(case, ensure_ascii=False) for case in cases]
    (FOLDER / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
