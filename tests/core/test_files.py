"""Data files are found with friendly names that stay unique; what is not data stays out."""

from pathlib import Path

from datasteward.engine.files import DataFiles


def names(root: Path) -> dict[str, str]:
    return {f.shown_path: f.name for f in DataFiles((root,), root).listing()}


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"a\n1\n")


def test_names_are_stems_and_longer_where_two_files_share_one(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "x/b.csv.gz", "y/b.csv", "y/c.csv", "y/c.json", "2026 sales.csv")
    assert names(tmp_path) == {
        "2026 sales.csv": "_2026_sales",
        "a.csv": "a",
        "x/b.csv.gz": "x_b",
        "y/b.csv": "y_b",
        "y/c.csv": "y_c_csv",
        "y/c.json": "y_c_json",
    }


def test_hidden_linked_and_foreign_files_stay_out(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", ".secret.csv", ".git/b.csv", "node_modules/c.csv", "notes.txt", "fake.db", "d.parquet.gz")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    assert set(names(tmp_path)) == {"a.csv"}


def test_a_folder_of_partitions_is_one_dataset(tmp_path: Path) -> None:
    put(tmp_path, "events/day=1/p.parquet", "events/day=2/p.parquet", "other/x.parquet")
    files = DataFiles((tmp_path,), tmp_path).listing()
    assert [(f.name, f.is_partitioned) for f in files] == [("events", True), ("x", False)]
