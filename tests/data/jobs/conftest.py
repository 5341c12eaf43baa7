"""Jobs of these tests run in worker processes, as users' do."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def jobs_in_process() -> None:
    """Replace the fixture that runs them in the test's own process."""
