"""`python -m firmwire` is the same as `firmwire`."""

from firmwire.cli import main

if __name__ == "__main__":
    main()
