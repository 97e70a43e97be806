"""`python -m hearthwatch_testbed`."""

from hearthwatch_testbed.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
