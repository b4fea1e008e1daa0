"""The part of StrokeSeg that knows Slicer: scene, runs, widgets. Everything else lives in StrokeSegLib."""
