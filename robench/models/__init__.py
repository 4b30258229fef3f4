"""Architectures: the small ViT of the papers, and those that no library has."""
