"""SleepFM Workbench: open, stage and review polysomnography with the SleepFM foundation model."""

__version__ = "0.1.0"
