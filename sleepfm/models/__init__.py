"""The SleepFM networks, the import of published checkpoints, and the shelf."""
