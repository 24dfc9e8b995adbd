"""The commands `steward` and `datasteward`, and the processes they start."""
