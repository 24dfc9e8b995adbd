"""datasteward_agent"""
