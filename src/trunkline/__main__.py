"""`python -m trunkline`."""

from trunkline.console.cli import main

main()
