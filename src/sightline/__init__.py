"""Train, compare and run models that say where things are."""
