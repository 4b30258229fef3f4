"""How tables are written down: for a terminal, as Markdown, LaTeX and CSV. The page has a template."""
