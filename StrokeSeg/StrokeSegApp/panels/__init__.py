"""One file a panel of the module's widget."""
