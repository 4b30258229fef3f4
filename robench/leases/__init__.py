"""Two processes or two machines share a folder without doing the same work twice."""
