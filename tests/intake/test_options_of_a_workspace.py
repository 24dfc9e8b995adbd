"""What steward.toml says of files holds wherever they are read: in queries, patterns and profiles."""

import json
from pathlib import Path

import pytest
from tests.support.worker_session import ask, open_session
from tests.support.workspaces import owned_workspace, steward

from datasteward.engine.jobs import WorkerSettings
from datasteward.errors import ConfigError, ToolError
from datasteward.intake.model import BadRowLimit, Overrides
from datasteward.intake.options import FileOptions, IntakeOptions
from datasteward.settings import load_settings
from datasteward.workspace import Workspace


def test_a_file_is_read_as_the_workspace_says_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "a.csv").write_text("made today\n1|2;3\n4|5;6\n7|8;9\n")
    (tmp_path / "a.csv").write_text("x;y\n1;2\n")
    given = Overrides(delimiter="|", header_rows=0, skip_rows=1, all_text=True)
    session = open_session(tmp_path, IntakeOptions(files=(FileOptions(pattern="bank/*.csv", overrides=given),)))
    assert ask(session, "FROM 'bank/a.csv'").rows[0] == ("1", "2;3")
    assert ask(session, "FROM 'bank/*.csv'").rows[0] == ("1", "2;3")
    assert ask(session, "FROM 'a.csv'").columns == ["x", "y"]
    session.release()


def test_the_workspace_decides_how_many_rows_may_be_bad(tmp_path: Path) -> None:
    text = "id,word\n" + "".join("one\n" if n % 2 else f"{n},w\n" for n in range(60))
    for folder, limit in (("strict", BadRowLimit(count=2, share=0.01)), ("mild", BadRowLimit(count=40))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text(text)
        given = FileOptions(pattern="*", overrides=Overrides(delimiter=","))
        session = open_session(tmp_path / folder, IntakeOptions(limit=limit, files=(given,)))
        if folder == "mild":
            assert ask(session, "SELECT count(*) FROM x").rows == ask(session, "SELECT count(*) FROM x.quarantine").rows
        else:
            with pytest.raises(ToolError, match="did not parse") as caught:
                ask(session, "FROM x")
            assert "steward.toml" in str(caught.value.hint)
        session.release()


def test_options_cross_to_a_worker_unchanged(tmp_path: Path) -> None:
    given = FileOptions(pattern="a/*.csv", overrides=Overrides(delimiter=";", skip_rows=2))
    settings = open_session(tmp_path, IntakeOptions(limit=BadRowLimit(count=7), files=(given,))).settings
    assert WorkerSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_settings_reach_queries_and_profiles_of_the_command_line(tmp_path: Path) -> None:
    settings = ["[[intake.files]]", 'path = "data/odd.csv"', 'delimiter = "|"', "header_rows = 0"]
    with owned_workspace(tmp_path, settings) as folder:
        (folder / "data" / "odd.csv").write_text("1|2;3\n4|5;6\n7|8;9\n")
        assert "2;3" in steward(folder, "query", "SELECT column_2 FROM odd").stdout
        made = json.loads(steward(folder, "profile", "odd", "--json").stdout)
        assert [c["name"] for c in made["columns"]] == ["column_1", "column_2"] and made["rows"] == 3


def test_a_misspelt_option_is_named(tmp_path: Path) -> None:
    (tmp_path / "steward.toml").write_text("[[intake.files]]\npath = 'x'\ndelimeter = ';'\n")
    with pytest.raises(ConfigError, match="unknown key 'delimeter', did you mean 'delimiter'"):
        load_settings(Workspace(root=tmp_path))
