"""The papers' tables as data: which cells, which columns, the published numbers beside them; see `reports/papers/`."""
