"""`python -m sleepfm` is the `sleepfm` command."""

from sleepfm.cli.main import entry

if __name__ == "__main__":
    entry()
