"""Steps of 0.1 s of the scenes of a scene group."""

from typing import Final

# A scene has 1.5 s of history and is scored over 4 s.
HISTORY: Final = 15
FUTURE: Final = 40
# The scenes "before" are 0.5 s before those "now".
BEFORE: Final = 5
# Follow-ups begin 4 s after the scene group's step. Their log goes from 2 s after it (1.5 s of history before the
# scene 0.5 s before now) to 8 s after it.
ENDPOINT: Final = 40
FIRST: Final = ENDPOINT - BEFORE - HISTORY
LAST: Final = ENDPOINT + FUTURE
# Step of a follow-up's log at which it starts.
NOW: Final = ENDPOINT - FIRST
