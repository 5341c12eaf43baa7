"""The parts that logs are divided into."""

from typing import Literal

Split = Literal["train", "val", "test"]
