"""One file a tool that an agent can call; `registry.TOOLS` lists them."""
