"""From cameras and video files into a gallery, in one pass."""
