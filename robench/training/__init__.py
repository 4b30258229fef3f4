"""Training: recipes, the one training loop, and the cache of weights."""
