"""Embeddings to numbers."""
