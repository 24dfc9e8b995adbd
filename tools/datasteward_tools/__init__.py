"""datasteward_tools"""
