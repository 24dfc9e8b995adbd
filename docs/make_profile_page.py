"""Makes the profile in docs/profiling.md and its page: a messy file of orders, profiled by the command.

Run from the repository's root: .venv/bin/python docs/make_profile_page.py FOLDER
FOLDER gets the workspace, profile.txt and page.html; a headless browser then takes docs/pictures/profile-page.png.
"""

import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

SEED = 11
ORDERS = 4_000
_HEAD = "order_id;customer_id;customer_name;email;ordered_on;country;status;quantity;price;discount;paid;remark"


def write_orders(folder: Path) -> None:
    """Orders as an export holds them: two orders twice, five ways to write a date or a status, a line cut short."""
    chance = random.Random(SEED)  # noqa: S311 - example data, not secrets
    first = ("Ana", "Bruno", "Clara", "David", "Emma", "Felix", "Grace", "Hannah")
    last = ("Silva", "Meyer", "Novak", "Rossi", "Jensen", "Costa")
    lines = [_HEAD]
    for number in range(1, ORDERS + 1):
        customer = chance.randrange(1, 301)
        given = first[customer % 8]
        name = f"{given} {last[customer % 6]}"
        day = date(2025, 1, 1) + timedelta(days=number * 330 // ORDERS)
        country = ("DE", "FR", "PT", "IT")[customer % 4] if chance.random() > 0.004 else "XX"
        status = chance.choice(("paid", "paid", "paid", "open", "Paid", "returned"))
        quantity = chance.choice((1, 1, 1, 2, 2, 3)) if number != 1234 else -999
        price = f"{chance.randrange(5, 400)},{chance.randrange(10)}0" if chance.random() > 0.03 else "N/A"
        remark = (
            ("", "gift", "leave at the door")[number % 3]
            if number % 90
            else f"call {given} at {given.lower()}@mail.example"
        )
        discount = chance.choice(("0%", "5%", "10%"))
        paid = "yes" if status.lower() == "paid" else "no"
        mail = f"{name.replace(' ', '.').lower()}{customer}@mail.example"
        key = number if number not in {900, 2800} else number - 1
        lines.append(f"{key};{customer};{name};{mail};{day:%d.%m.%Y};{country};{status};{quantity};{price};{discount};{paid};{remark}")  # fmt: skip
    lines[2001] = lines[2001].split(";")[0] + ";cut short"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orders.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    customers = "".join(f"{n};{('DE', 'FR', 'PT', 'IT')[n % 4]}\n" for n in range(1, 300))
    (folder / "customers.csv").write_text("customer_id;country\n" + customers, encoding="utf-8")


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    write_orders(folder / "data")
    steward = [sys.executable, "-m", "datasteward_cli.main", "--workspace", str(folder), "profile", "orders"]
    told = subprocess.run(steward, capture_output=True, text=True, check=True)
    (folder / "profile.txt").write_text(told.stdout, encoding="utf-8")
    subprocess.run([*steward, "--mask", "--html", str(folder / "page.html")], check=True)


if __name__ == "__main__":
    main()
