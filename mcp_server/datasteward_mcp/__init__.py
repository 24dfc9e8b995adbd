"""The MCP face of a workspace: tools, resources and prompts in both protocol eras."""
