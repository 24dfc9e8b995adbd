"""Assets computed on a Spark Connect server instead of in DuckDB."""
