"""Images with known truth: heads, stroke lesions and the physics that turns them into scans (numpy and scipy only)."""
