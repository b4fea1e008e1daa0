"""How well readers and models agree: pairs and groups, over the cases that they share."""
