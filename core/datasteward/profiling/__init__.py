"""What a table really is: facts, findings with the SQL that shows and mends them, keys, meanings, drift, contracts.

`profiling.profile.profile` makes a `Profile` (`profiling.model`); `rendering` turns it into text for a model or a person,
`page` into one HTML file, `drift.compare` sets two profiles side by side, `contract.draft_contract` proposes a contract.
"""
