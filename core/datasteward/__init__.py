"""Datasteward's core: workspace, engine, changes, profiling, lineage, pipelines, evidence and journal, with no front end."""
