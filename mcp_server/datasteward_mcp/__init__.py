"""datasteward_mcp"""
