"""The `robench` command, which is also `python -m robench`: signals are heeded before anything else is imported."""

from robench.stopping import SIGNALS, end


def main() -> None:
    """Entry point of the `robench` command."""
    SIGNALS.heed()
    try:
        from robench.cli import run

        run()
    except KeyboardInterrupt as stop:  # between the commands' own ends
        raise end(stop) from None


if __name__ == "__main__":
    main()
