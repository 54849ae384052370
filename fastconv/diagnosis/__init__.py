"""What tells users what a model does and where it goes wrong. Nothing here runs in a training step."""
