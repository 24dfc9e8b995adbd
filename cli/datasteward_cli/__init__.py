"""datasteward_cli"""
