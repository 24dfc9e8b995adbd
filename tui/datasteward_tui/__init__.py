"""datasteward_tui"""
