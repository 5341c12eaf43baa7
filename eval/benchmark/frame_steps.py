"""Steps of 0.1 s at which the frames of a scene group are."""

from typing import Final

# A frame sees 1.5 s of history and is scored over 4 s.
HISTORY: Final = 15
FUTURE: Final = 40
# The frames "before" are 0.5 s before those "now".
BEFORE: Final = 5
# Follow-ups begin 4 s after the case's moment. Their log goes from 2 s after it (1.5 s of history before the frame
# 0.5 s before now) to 8 s after it.
ENDPOINT: Final = 40
FIRST: Final = ENDPOINT - BEFORE - HISTORY
LAST: Final = ENDPOINT + FUTURE
# Steps of a follow-up's log at which its frames are.
NOW: Final = ENDPOINT - FIRST
