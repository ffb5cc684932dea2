"""Training: the loop, its step, schedules and augmentation, and the run that saves its state."""
