"""`python -m robench` is the `robench` command."""

from robench.cli import main

main()
