"""Attacking: what attacks are made of: the counted model, draws, norms, losses, descents, patches, corruptions."""
