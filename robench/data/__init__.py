"""Data sets: images with labels, where they are found, and the pinned subset that is evaluated."""
