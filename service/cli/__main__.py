"""`python -P -m service.cli`: the `hearthline` command without its script."""

from service.cli import main

if __name__ == "__main__":
    main(prog_name="hearthline")
