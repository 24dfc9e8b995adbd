"""DuckDB behind a gate, locked settings and worker processes; results kept under handles."""
