"""``python -m hpml_cli``: the command ``hpml`` where no script is installed."""

import sys

from hpml_cli import main

sys.exit(main())
