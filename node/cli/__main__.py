"""``python -m node.cli``: the same as ``onconode``, with the interpreter that runs already."""

from node.cli.app import main

main()
