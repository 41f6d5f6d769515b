"""`python -m steelyard` is the same command as `bench`."""

from steelyard.cli.main import main

if __name__ == "__main__":
    main()
