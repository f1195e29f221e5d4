"""`python -m nebuloviz`."""

import sys

from nebuloviz.cli import main

sys.exit(main())
