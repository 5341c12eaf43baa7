from tests.support.trained_set import dataset, one_thread

__all__ = ["dataset", "one_thread"]
