"""The tables that lineage keeps in the workspace's state database, version by version."""

COMPONENT = "lineage"
SCRIPTS: tuple[str, ...] = (
    """
    CREATE TABLE lineage_dataset (
        id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
        first_seen REAL NOT NULL, last_seen REAL NOT NULL, dropped_at REAL, renamed_to TEXT,
        UNIQUE (namespace, name)
    );
    CREATE TABLE lineage_version (
        dataset_id INTEGER NOT NULL REFERENCES lineage_dataset (id) ON DELETE CASCADE,
        seen_at REAL NOT NULL, schema TEXT NOT NULL, run_id TEXT,
        PRIMARY KEY (dataset_id, seen_at)
    ) WITHOUT ROWID;
    CREATE TABLE lineage_node (
        id INTEGER PRIMARY KEY,
        dataset_id INTEGER NOT NULL REFERENCES lineage_dataset (id) ON DELETE CASCADE,
        column_name TEXT NOT NULL,
        UNIQUE (dataset_id, column_name)
    );
    CREATE TABLE lineage_run (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, statement_hash TEXT NOT NULL, job TEXT NOT NULL,
        at REAL NOT NULL, confidence TEXT NOT NULL, notes TEXT NOT NULL
    );
    CREATE INDEX lineage_run_by_run ON lineage_run (run_id);
    CREATE TABLE lineage_edge (
        id INTEGER PRIMARY KEY, source INTEGER NOT NULL, target INTEGER NOT NULL, subtype TEXT NOT NULL,
        masking INTEGER NOT NULL, expression TEXT, run INTEGER NOT NULL, statement_hash TEXT NOT NULL,
        confidence TEXT NOT NULL, first_at REAL NOT NULL, last_at REAL NOT NULL, ended_at REAL,
        UNIQUE (target, source, subtype, statement_hash)
    );
    CREATE INDEX lineage_edge_by_source ON lineage_edge (source, target);
    """,
    """
    ALTER TABLE lineage_run ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    ALTER TABLE lineage_run ADD COLUMN sql TEXT NOT NULL DEFAULT '';
    ALTER TABLE lineage_run ADD COLUMN seconds REAL;
    ALTER TABLE lineage_run ADD COLUMN error TEXT;
    ALTER TABLE lineage_run ADD COLUMN inputs TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE lineage_run ADD COLUMN target TEXT;
    ALTER TABLE lineage_run ADD COLUMN outputs TEXT NOT NULL DEFAULT '[]';
    CREATE INDEX lineage_run_by_time ON lineage_run (at);
    CREATE INDEX lineage_edge_by_statement ON lineage_edge (statement_hash);
    CREATE TABLE lineage_change (number INTEGER PRIMARY KEY, captured_at REAL NOT NULL);
    """,
)
