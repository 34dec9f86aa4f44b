"""``python -m dlclaims`` is the command ``dlclaims``."""

from dlclaims.cli import main

if __name__ == "__main__":
    main()
