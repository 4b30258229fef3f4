"""Entries: how they are written, their options and cards, and the registries that find them."""
