"""The agent: a loop over a model and a toolset that yields one typed event stream."""
