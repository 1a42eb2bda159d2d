"""Measures what DESIGN section 9 promises: every row with a ceiling taken in the same run, on this machine alone.

It starts the real processes on a database, a Valkey and a provider of its own, and removes them again. Absolute
figures follow the machine; the ratio of a figure to its ceiling says how good the code is.
"""
