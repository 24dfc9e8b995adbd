"""Every text a model reads, as Markdown files, and their one loader."""
