"""Profiles as callers get them: through `steward profile` and through the protocol."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.support.wire_client import WireClient
from tests.support.workspaces import owned_workspace, steward


def profiled(folder: Path, dataset: str, *arguments: str) -> Any:
    done = steward(folder, "profile", dataset, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(client: WireClient, name: str, **arguments: Any) -> Any:
    return client.request("tools/call", {"name": name, "arguments": arguments})


def test_a_table_comes_before_a_file_of_its_name_and_the_file_is_reached_by_its_path(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        (folder / "data" / "orders.csv").write_text("id,shop\n1,north\n2,south\n")
        assert profiled(folder, "orders")["rows"] == 1000
        for spelling in ("data/orders.csv", str(folder / "data" / "orders.csv")):
            assert [c["name"] for c in profiled(folder, spelling)["columns"]] == ["id", "shop"]
        assert profiled(folder, "sales")["format"] == "delimited"


def test_a_file_that_breaks_far_down_can_be_queried_and_the_answer_says_how_it_was_read(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        lines = ("only one" if n == 90_000 else f"{n},{'x' if n == 95_000 else n},w{n % 9}" for n in range(100_000))
        (folder / "data" / "deep.csv").write_text("id,value,word\n" + "\n".join(lines) + "\n")
        with WireClient(folder) as client:
            counted = ask(client, "run_query", sql="SELECT count(*) AS n, any_value(typeof(value)) AS t FROM deep")
            aside = ask(client, "run_query", sql="FROM deep.quarantine")
        text = counted["content"][0]["text"]
        assert "99999" in text and "VARCHAR" in text and "all lines were read" in text
        assert "only one" in aside["content"][0]["text"]


def test_the_full_statistics_are_a_result_with_one_typed_row_a_column(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder, WireClient(folder) as client:
        answer = ask(client, "profile_data", dataset="orders")
        handle = answer["structuredContent"]["handle"]
        assert f"FROM {handle}" in answer["content"][0]["text"]
        asked = ask(
            client,
            "run_query",
            sql=f"SELECT column_name, distinct_count + 0 AS d, p50, len(top_values) AS t, findings FROM {handle} WHERE is_key ORDER BY position LIMIT 1",
        )
        assert "1000" in asked["content"][0]["text"] and "499.5" in asked["content"][0]["text"], asked


def people(folder: Path) -> list[str]:
    """Writes `data/people.csv` and the table `staff`; returns the values nobody but a person may see."""
    rows, canaries = [], []
    for n in range(300):
        mail, phone, born = f"canary{n}@mail.example", f"+49 170 77{10000 + n}", f"19{50 + n % 40}-{n % 12 + 1:02}-17"
        canaries += [mail, phone, born, f"Zebulon{n}"]
        rows.append(f"{n},{mail},{phone},Zebulon{n} Canary,{born},wrote to {mail} today,{'a' if n else 'A'}")
    head = "id,contact,phone,full_name,birth_date,remark,kind"
    (folder / "data" / "people.csv").write_text("\n".join([head, *rows]) + "\n")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as base:
        base.execute(
            f"CREATE TABLE staff AS SELECT *, {{'mail': contact, 'n': id}} AS record, [contact] AS mails, "
            f"to_json({{'mail': contact}}) AS doc, to_json({{'who': full_name}})::VARCHAR AS payload FROM read_csv('{folder / 'data' / 'people.csv'}') WHERE id <> 7"
        )
        base.execute("INSERT INTO staff SELECT * FROM staff LIMIT 40")
    return canaries


@pytest.mark.parametrize("dataset", ["people", "staff"])
def test_no_personal_value_is_in_any_answer_a_model_gets(dataset: str, tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        canaries = people(folder)
        other = "staff" if dataset == "people" else "people"
        with WireClient(folder) as client:
            asked: list[dict[str, Any]] = [{}, {"show": "sql"}, {"show": "contract"}, {"compare_to": "previous"}]
            columns = ["contact", "phone", "full_name", "birth_date", "remark"]
            columns += ["record", "mails", "doc", "payload"] if dataset == "staff" else []
            asked += [{"compare_to": other}, *({"column": c} for c in columns)]
            answers = [ask(client, "profile_data", dataset=dataset, **extra) for extra in asked]
            assert not any(a.get("isError") for a in answers)
            handle = answers[0]["structuredContent"]["handle"]
            answers.append(ask(client, "run_query", sql=f"SELECT CAST(t AS VARCHAR) FROM {handle} AS t"))
        seen = json.dumps(answers)
        assert [c for c in canaries if c in seen] == []


def test_masking_holds_for_every_output_of_the_command(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        canaries = people(folder)
        plain = steward(folder, "profile", "people").stdout
        assert "canary" in plain
        outputs = [["--json"], ["--contract"], ["--sql"], ["--column", "contact"], ["--compare-to", "staff"], []]
        shown = "".join(steward(folder, "profile", "people", "--mask", *o).stdout for o in outputs)
        steward(folder, "profile", "people", "--mask", "--html", "page.html")
        shown += (folder / "page.html").read_text()
        assert len(shown) > 5000 and [c for c in canaries if c in shown] == []


def test_messy_partitions_are_one_dataset_to_queries_and_profiles(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        for year, text in ((2023, "id,name\n1,x\n2,y\n3,z\n"), (2024, "A title\n\nname;id\nw;4\nv;5\nu;6\n")):
            (folder / "data" / "shops" / f"year={year}").mkdir(parents=True)
            (folder / "data" / "shops" / f"year={year}" / "part.csv").write_text(text)
        (folder / "data" / "shops" / "year=2024" / "linked.csv").symlink_to("/etc/hostname")
        with WireClient(folder) as client:
            answer = ask(client, "run_query", sql="SELECT sum(id) AS s, count(*) FILTER (year = 2024) AS n FROM shops")
        assert "21" in answer["content"][0]["text"] and "2 files are read as one table" in answer["content"][0]["text"]
        assert {c["name"] for c in profiled(folder, "shops")["columns"]} == {"id", "name", "year"}


def test_a_converted_file_tells_its_own_format(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        (folder / "data" / "mixed.csv").write_text("A title\n\nid;price\n" + "".join(f"{n};{n},5\n" for n in range(30)))
        assert profiled(folder, "mixed")["format"] == "delimited"


def test_a_contract_allows_no_values_that_are_other_spellings(tmp_path: Path) -> None:
    with owned_workspace(tmp_path) as folder:
        rows = (f"{n},{('paid', 'Paid', 'open')[n % 3]},{('a', 'b')[n % 2]}\n" for n in range(90))
        (folder / "data" / "bills.csv").write_text("id,status,kind\n" + "".join(rows))
        contract = steward(folder, "profile", "bills", "--contract").stdout
        assert contract.count("invalidValues") == 1 and "Paid" not in contract
