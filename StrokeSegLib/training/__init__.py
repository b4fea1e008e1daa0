"""Training: the same systems and the same preprocessing as inference, on generated images (torch)."""
