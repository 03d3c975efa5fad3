"""Training: losses, data, pretraining and fine-tuning, in runs that can be stopped and go on."""
