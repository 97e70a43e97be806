"""Hearthwatch on CHI@Edge: lease devices, run a fleet on them, give everything back."""
