"""Pipelines: folders of SQL and Python assets that are planned, run, checked and published."""
