"""`steward demo` with the agent: real tools, a wrong figure caught, a change that waits."""

from pathlib import Path

from click.testing import CliRunner

from datasteward_cli.agent_demo import demo


def test_the_demo_shows_a_corrected_figure_and_a_waiting_change(tmp_path: Path) -> None:
    shown = CliRunner().invoke(demo, ["--folder", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "words of this model are scripted" in shown.stdout
    assert "revenue of 91383.00 [r1]. That is 37.8 % of all revenue [r2]." in shown.stdout
    assert "1 not found 99,383.00" in shown.stderr
    assert "2 figures, 0 not found" in shown.stderr
    assert "c1 waits for approval" in shown.stderr
