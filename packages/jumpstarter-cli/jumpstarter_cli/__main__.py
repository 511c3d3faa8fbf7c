"""`python -m jumpstarter_cli` is `jmp`."""

from jumpstarter_cli.jmp import jmp

if __name__ == "__main__":
    jmp(prog_name="jmp")
