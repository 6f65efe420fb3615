"""Whether this process was told to stop: what would otherwise go on for long then ends early."""

from __future__ import annotations

import threading

stopping = threading.Event()
