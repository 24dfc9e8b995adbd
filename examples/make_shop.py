"""Write the example shop into a folder and make it a workspace: `python examples/make_shop.py shop`."""

import shutil
import sys
from pathlib import Path

from datasteward_cli.example_data import write_example_data


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/make_shop.py FOLDER")
    folder = Path(sys.argv[1])
    write_example_data(folder / "data")
    shutil.copy(Path(__file__).with_name("steward.toml"), folder / "steward.toml")
    print(f"{folder}: try  steward --workspace {folder} profile customers")


if __name__ == "__main__":
    main()
