"""From images as they come to what a network sees, and back: numpy and SimpleITK only."""
