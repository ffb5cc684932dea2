"""The training loop, its step and schedules, and the run that saves them."""
