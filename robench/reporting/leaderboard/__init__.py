"""Leaderboards: rows of equal threat and equal evidence, ranked by what can be told apart."""
