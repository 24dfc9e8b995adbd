"""datasteward_prompts"""
