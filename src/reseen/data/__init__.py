"""Crops to clips: data sets, flow, stores."""
