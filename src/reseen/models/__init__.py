"""Network files: what is known about them, how they come here, and how they are run."""
