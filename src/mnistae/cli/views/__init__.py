"""How long results are shown: training in progress, and evaluations."""
