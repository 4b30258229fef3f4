"""The regression gate: is a model easier to fool than it was, or an attack weaker? It reads a store and a baseline."""
