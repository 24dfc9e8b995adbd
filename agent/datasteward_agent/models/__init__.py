"""Models the agent can talk to; only `anthropic_messages` imports the SDK."""
