"""How fast inference is, beside what a user would run instead and beside what the machine could do at best."""
