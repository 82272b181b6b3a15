"""Every guard taken out once: a test must fail.

`python -m tests.mutation [WORDS]` takes out all guards, or those whose names hold the words.
"""
