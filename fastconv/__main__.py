"""`python -m fastconv`: the same program as `fastconv`."""

from fastconv.cli import main

if __name__ == "__main__":
    main()
