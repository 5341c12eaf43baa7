"""The order in which NumPy 1 sorts equal numbers, on which the devkit's nearest map object depends."""

import numpy as np
from jaxtyping import Float, Int

# Shorter stretches are sorted by insertion (`npy_sort` of NumPy 1.x, before vectorised sorting).
_SHORT = 15


def argsort_as_numpy_1(values: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Return the permutation of `numpy.argsort(values, kind="quicksort")` in NumPy 1.x on any machine.

    It is not stable, and newer releases order ties differently. Median-of-three quicksort with the larger part pushed
    on a stack; the depth limit, at which NumPy turns to heap sort, is not reached by distances on a map.
    """
    keys, order = values.tolist(), list(range(len(values)))
    stack = [(0, len(order) - 1)]
    while stack:
        low, high = stack.pop()
        while high - low > _SHORT:
            split = _partition(keys, order, low, high)
            if split - low < high - split:
                stack.append((split + 1, high))
                high = split - 1
            else:
                stack.append((low, split - 1))
                low = split + 1
        _insertion_sort(keys, order, low, high)
    return np.array(order, dtype=np.int64)


def _partition(keys: list[float], order: list[int], low: int, high: int) -> int:
    """Partition `order[low:high + 1]` around the median of its first, middle and last key; return its place."""

    def swap(first: int, second: int) -> None:
        order[first], order[second] = order[second], order[first]

    middle = low + ((high - low) >> 1)
    for first, second in ((middle, low), (high, middle), (middle, low)):
        if keys[order[first]] < keys[order[second]]:
            swap(first, second)
    pivot, left, right = keys[order[middle]], low, high - 1
    swap(middle, right)
    while True:
        left, right = left + 1, right - 1
        while keys[order[left]] < pivot:
            left += 1
        while pivot < keys[order[right]]:
            right -= 1
        if left >= right:
            break
        swap(left, right)
    swap(left, high - 1)
    return left


def _insertion_sort(keys: list[float], order: list[int], low: int, high: int) -> None:
    for place in range(low + 1, high + 1):
        moved, at = order[place], place
        while at > low and keys[moved] < keys[order[at - 1]]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = moved
