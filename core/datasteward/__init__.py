"""Datasteward's core: workspace, engine, changes, lineage, pipelines, evidence and journal, with no front end."""
