"""Find the same person again in another camera's video."""
