"""Measurements behind single pages of docs/, to be run in a clone: `python -m benches.studies.regression` and so on."""
