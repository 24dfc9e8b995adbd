"""Reading data files as they are: what a file is, how to read it faithfully, and what could not be read.

`intake.inspect.inspect_file` says what a file is and what is in doubt; `intake.plan.read_plan` gives a table
expression for it: on the file itself when DuckDB reads it cell for cell, else on a Parquet copy in a cache folder,
with the rows that did not parse beside it in a quarantine file. `intake.model` holds the types.
"""
