"""`python -m symconv`: the same as the command `symconv`."""

import sys

from symconv.app.main import main

if __name__ == "__main__":
    sys.exit(main())
