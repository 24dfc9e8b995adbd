"""The cheap tier of fingerprints: the database file's stamp."""

import hashlib
import json
from pathlib import Path

ABSENT = "absent"
_HEADER_BYTES = 12288


def stamp_database(path: Path) -> str:
    """A cheap stamp of a database file: equal stamps mean that nothing was written in between.

    That it still holds is certain only while this process keeps other writers out, or nobody has the file open.

    It covers size, modification time, inode and the header of the file and of its write-ahead log. A different stamp
    says nothing: compare exact prints then. `absent` when there is no file.
    """
    if not path.exists():
        return ABSENT
    parts: list[object] = []
    for part in (path, path.with_name(path.name + ".wal")):
        if part.exists():
            facts = part.stat()
            with part.open("rb") as stream:
                head = hashlib.sha256(stream.read(_HEADER_BYTES)).hexdigest()
            parts.append([facts.st_size, facts.st_mtime_ns, facts.st_ino, head])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
