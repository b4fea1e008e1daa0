"""The worker: a warm child process that runs segmentations and trainings, and the client that drives it.

``python -m StrokeSegLib worker`` speaks JSON-RPC 2.0 over stdin and stdout, one JSON a line. ``protocol`` says what,
``server`` and ``jobs`` are the child's side; ``client``, ``call``, ``process`` and ``process_tree`` are the other one,
which need only Python itself.
"""
