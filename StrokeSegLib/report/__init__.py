"""What a run leaves to be read: measurements, pictures and reports."""
