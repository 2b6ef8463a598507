"""Clips to embeddings: the paper's network and its training."""
