"""Settings come from the file, the environment and flags; a wrong one is named with the nearest right one."""

from pathlib import Path

import pytest

from datasteward.errors import ConfigError
from datasteward.settings import load_settings
from datasteward.workspace import Workspace, find_workspace


def workspace(folder: Path, text: str | None = None) -> Workspace:
    if text is not None:
        (folder / "steward.toml").write_text(text)
    return Workspace(root=folder)


def test_a_folder_without_any_file_has_all_defaults(tmp_path: Path) -> None:
    settings = load_settings(workspace(tmp_path), environment={})
    assert settings.data_roots(workspace(tmp_path)) == (tmp_path,)
    assert settings.database_path(workspace(tmp_path)) == tmp_path / "warehouse.duckdb"


def test_flags_are_stronger_than_the_environment_and_that_than_the_file(tmp_path: Path) -> None:
    place = workspace(tmp_path, "[limits]\nworkers = 2\nthreads = 2\nmemory = '1GB'\n")
    settings = load_settings(
        place,
        environment={"STEWARD_LIMITS_WORKERS": "3", "STEWARD_LIMITS_THREADS": "3", "OTHER": "x"},
        overrides={"limits": {"workers": 4}},
    )
    assert (settings.limits.workers, settings.limits.threads, settings.limits.memory) == (4, 3, 10**9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limts]\nworkers = 2\n", ["limts", "limits"]),
        ("[limits]\nworker = 2\n", ["limits.worker", "workers"]),
        ("[limits]\nmemory = 'a lot'\n", ["limits.memory", "a lot", "MiB"]),
        ("[limits]\nworkers = 0\n", ["limits.workers", "greater than or equal to 1"]),
        (
            "[[policy.rules]]\nverdict = 'allw'\n",
            [
                "policy.rules number 1: name is missing",
                "verdict is 'allw', did you mean 'allow'? It takes allow, ask or deny",
            ],
        ),
        (
            "[[policy.rules]]\nname = 'a'\nverdict = 'ask'\n[[policy.rules]]\nname = 'b'\nverdict = 'ask'\ntable = ['x']\n",
            ["policy.rules number 2 ('b'): unknown key 'table', did you mean 'tables'?"],
        ),
        (
            "[[policy.rules]]\nname = 'a'\nverdict = 'ask'\nkinds = ['drop_*', 'updat', 'frop_*']\n",
            ["policy.rules number 1 ('a'): kinds is", "kind 'updat', did you mean 'update'?"],
        ),
        ("[[policy.rules]]\nname = 'a'\nverdict = 'ask'\nmax_rows = 'x'\n", ["max_rows is 'x'", "valid integer"]),
        ("[policy]\ndefault = 'aks'\n", ["policy.default is 'aks'", "did you mean 'ask'"]),
        ("limits = 3\n", ["table", "[limits]"]),
        ("[limits\n", ["steward.toml", "cannot be read"]),
    ],
)
def test_a_wrong_file_is_named_with_the_fault(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(workspace(tmp_path, text), environment={})
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'STEWARD_LIMITS_MEMORY'"):
        load_settings(workspace(tmp_path), environment={"STEWARD_LIMIT_MEMORY": "1GB"})


def test_a_data_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    place = workspace(tmp_path, "[data]\nroots = ['nowhere']\n")
    with pytest.raises(ConfigError, match="nowhere"):
        load_settings(place, environment={}).data_roots(place)


def test_the_workspace_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEWARD_WORKSPACE", raising=False)
    (tmp_path / "steward.toml").write_text("")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_workspace().root == tmp_path.resolve()
    assert find_workspace(deep).root == deep.resolve()
    with pytest.raises(ConfigError, match="cannot be opened"):
        find_workspace(tmp_path / "missing")
    with pytest.raises(ConfigError, match="is a file"):
        find_workspace(tmp_path / "steward.toml")
