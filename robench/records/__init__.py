"""Records: what is stored and where; no torch."""
