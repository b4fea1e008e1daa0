"""Two scans of one patient: what grew, what shrank, what is new and what is gone."""
