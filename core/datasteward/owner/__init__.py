"""The owner process of a workspace: how it is found and started, and how other processes talk to it."""
