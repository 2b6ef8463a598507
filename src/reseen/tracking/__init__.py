"""Video to tracklets: people found, followed and cut out."""
