"""A small shop's data, made by rule so that it is the same everywhere: CSV, NDJSON, Parquet partitions and SQLite."""

import csv
import gzip
import json
import random
import sqlite3
from datetime import date, timedelta
from pathlib import Path

SEED = 20261121
CUSTOMERS = 200
ORDERS = 2000
_CITIES = ("Lisbon", "Porto", "Berlin", "Hamburg", "Lyon", "Paris", "Gdańsk", "Kraków")
_NAMES = ("Ana", "Bruno", "Clara", "Dieter", "Elif", "Farid", "Greta", "Hana", "Igor", "João")
_PRODUCTS = (("Lamp", 39.9), ("Desk", 249.0), ("Chair", 119.5), ("Rug", 89.0), ("Shelf", 149.0), ("Mirror", 59.9))
_FIRST_DAY = date(2026, 1, 1)


def write_example_data(folder: Path) -> list[Path]:
    """Write the example files below `folder` (made when missing) and return them; existing ones are replaced."""
    chance = random.Random(SEED)  # noqa: S311 - example data, not secrets
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write_customers(folder / "customers.csv", chance),
        _write_products(folder / "products.ndjson"),
        *_write_orders(folder / "orders", chance),
        _write_visits(folder / "visits.csv.gz", chance),
        _write_support(folder / "support.sqlite", chance),
    ]


def _write_customers(path: Path, chance: random.Random) -> Path:
    """Semicolons and decimal commas, a few doubled spaces and missing cities, as exports have them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["customer_id", "name", "email", "city", "credit_limit"])
        for number in range(1, CUSTOMERS + 1):
            name = chance.choice(_NAMES)
            city = "" if number % 37 == 0 else chance.choice(_CITIES) + ("  " if number % 41 == 0 else "")
            limit = f"{chance.randrange(100, 5000)},{chance.randrange(10)}0"
            writer.writerow([number, name, f"{name.lower()}.{number}@example.org", city, limit])
    return path


def _write_products(path: Path) -> Path:
    lines = [
        {"product_id": i, "name": name, "price": price, "tags": ["home", name.lower()]}
        for i, (name, price) in enumerate(_PRODUCTS, 1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def _write_orders(folder: Path, chance: random.Random) -> list[Path]:
    """Hive partitions by month; amounts as DECIMAL."""
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    months: dict[str, list[dict[str, object]]] = {}
    for number in range(1, ORDERS + 1):
        day = _FIRST_DAY + timedelta(days=chance.randrange(270))
        product = chance.randrange(1, len(_PRODUCTS) + 1)
        quantity = chance.choice((1, 1, 1, 2, 2, 3))
        price = Decimal(str(_PRODUCTS[product - 1][1]))
        row = {
            "order_id": number,
            "customer_id": chance.randrange(1, CUSTOMERS + 1),
            "product_id": product,
            "quantity": quantity,
            "amount": price * quantity,
            "ordered_on": day,
            "status": chance.choice(("paid", "paid", "paid", "open", "returned")),
        }
        months.setdefault(day.strftime("%Y-%m"), []).append(row)
    schema = pa.schema(
        [
            ("order_id", pa.int64()),
            ("customer_id", pa.int64()),
            ("product_id", pa.int32()),
            ("quantity", pa.int32()),
            ("amount", pa.decimal128(10, 2)),
            ("ordered_on", pa.date32()),
            ("status", pa.string()),
        ]
    )
    paths = []
    for month, rows in sorted(months.items()):
        path = folder / f"month={month}" / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
        paths.append(path)
    return paths


def _write_visits(path: Path, chance: random.Random) -> Path:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["at", "page", "seconds"])
        for number in range(500):
            day = _FIRST_DAY + timedelta(days=number // 2)
            writer.writerow(
                [f"{day} 12:{number % 60:02d}:00", chance.choice(("home", "cart", "help")), chance.randrange(1, 600)]
            )
    return path


def _write_support(path: Path, chance: random.Random) -> Path:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tickets (ticket_id INTEGER PRIMARY KEY, customer_id INTEGER, topic TEXT)")
        topics = ("delivery", "refund", "question")
        rows = [(n, chance.randrange(1, CUSTOMERS + 1), chance.choice(topics)) for n in range(1, 121)]
        connection.executemany("INSERT INTO tickets VALUES (?, ?, ?)", rows)
    connection.close()
    return path
