import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Of torch: these networks are so small that threads wait for each other longer than they work."""
    torch = pytest.importorskip("torch", reason="torch is an extra")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
