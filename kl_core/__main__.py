"""`python -m kl_core COMMAND`."""

from kl_core.cli.main import main

if __name__ == "__main__":
    main()
