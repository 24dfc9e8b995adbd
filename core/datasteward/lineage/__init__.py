"""Where each column comes from and what depends on it, read from what was run."""
