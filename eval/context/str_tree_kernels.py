"""Query order and nearest item of a Sort-Tile-Recursive tree (Leutenegger et al., 1997).

NAVSIM and nuPlan look objects up in GEOS's STR tree (TemplateSTRtree, through shapely), and the choice between equally
distant objects depends on the tree's order. The packing, the sort, which is not stable for more than 16 items, and the
queue of the nearest-item search are therefore those of GEOS and of libstdc++.
"""

import math

import numpy as np
from numba import njit

from swerve.scenes.kernel_options import INTERNAL

NODE_CAPACITY = 10  # shapely's default
INSERTION_LIMIT = 16  # std::sort leaves ranges of this many items or fewer to insertion sort


@njit(cache=True, nogil=True)
def packed_tree(bounds):
    """Pack boxes (low x, low y, high x, high y) into a tree.

    Returns:
        Boxes (v, 4) and children (v, 2) of its nodes, the root last. The children of node v are the nodes
        children[v, 0]..children[v, 1] - 1; where the second number is -1, v is a leaf and the first its item.
    """
    count = len(bounds)
    boxes, children = np.empty((2 * count + 8, 4)), np.empty((2 * count + 8, 2), np.int64)
    boxes[:count], children[:count, 0], children[:count, 1] = bounds, np.arange(count), -1
    first, last = np.int64(0), np.int64(count)
    while last - first > 1:
        first, last = last, _add_parents(boxes, children, first, last)
    return boxes[:last], children[:last]


@njit(cache=True, nogil=True)
def visiting_order(bounds):
    """Return the items in the order in which a query visits them if all boxes intersect it."""
    count = len(bounds)
    order = np.empty(count, np.int64)
    if count == 0:
        return order
    _, children = packed_tree(bounds)
    stack = np.empty(len(children), np.int64)
    stack[0], open_nodes, number = len(children) - 1, 1, 0
    while open_nodes:
        open_nodes -= 1
        first, last = children[stack[open_nodes]]
        if last < 0:
            order[number] = first
            number += 1
        for child in range(last - 1, first - 1, -1):
            stack[open_nodes] = child
            open_nodes += 1
    return order


@njit(cache=True, nogil=True)
def nearest_item(bounds, distances, own):
    """Return the item found by a nearest-item search.

    Args:
        bounds: boxes (n, 4) of the items, n > 0.
        distances: of the items themselves from the query shape.
        own: box (4) of the query shape.
    """
    boxes, children = packed_tree(bounds)
    queue, keys, size = np.empty(len(boxes), np.int64), np.empty(len(boxes)), 0
    size = _push(queue, keys, size, len(boxes) - 1, _key(boxes, children, len(boxes) - 1, distances, own))
    # Only the first leaf counts: it is as near as any box still in the queue.
    while True:
        node, size = queue[0], _pop(queue, keys, size)
        first, last = children[node]
        if last < 0:
            return first
        for child in range(first, last):
            size = _push(queue, keys, size, child, _key(boxes, children, child, distances, own))


@njit(cache=True, nogil=True, **INTERNAL)
def _add_parents(boxes, children, first, last):
    """Sort nodes first..last - 1 into slices by x and within those by y, add parents, and return the new end."""
    count = last - first
    slices = math.ceil(math.sqrt(math.ceil(count / NODE_CAPACITY)))
    capacity = math.ceil(count / slices)
    _sort_nodes(boxes, children, first, last, np.int64(0))
    end = last
    for low in range(first, last, capacity):
        high = min(low + capacity, last)
        _sort_nodes(boxes, children, low, high, np.int64(1))
        for child in range(low, high, NODE_CAPACITY):
            after = min(child + NODE_CAPACITY, high)
            boxes[end, 0], boxes[end, 1] = boxes[child:after, 0].min(), boxes[child:after, 1].min()
            boxes[end, 2], boxes[end, 3] = boxes[child:after, 2].max(), boxes[child:after, 3].max()
            children[end, 0], children[end, 1] = child, after
            end += 1
    return end


@njit(cache=True, nogil=True, **INTERNAL)
def _sort_nodes(boxes, children, first, last, axis):
    keys = boxes[first:last, axis] + boxes[first:last, axis + 2]
    order = unstable_order(keys) + first
    boxes[first:last], children[first:last] = boxes[order], children[order]


@njit(cache=True, nogil=True)
def unstable_order(keys):
    """Return the indices that sort keys as libstdc++'s std::sort; its depth limit is never reached by so few items."""
    order = np.arange(len(keys))
    stack = np.empty((len(keys) + 1, 2), np.int64)
    stack[0, 0], stack[0, 1], number = 0, len(keys), 1
    while number:
        number -= 1
        first, last = stack[number]
        while last - first > INSERTION_LIMIT:
            cut = _partition(keys, order, first, last)
            stack[number, 0], stack[number, 1] = cut, last
            number += 1
            last = cut
    for i in range(1, len(order)):
        item, k = order[i], i
        while k > 0 and keys[item] < keys[order[k - 1]]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = item
    return order


@njit(cache=True, nogil=True, **INTERNAL)
def _partition(keys, order, first, last):
    """Partition a range at the median of three, which is moved to its start; return the start of the upper part."""
    pivot = _median(keys, order, first + 1, first + (last - first) // 2, last - 1)
    order[first], order[pivot] = order[pivot], order[first]
    key, low, high = keys[order[first]], first + 1, last
    while True:
        while keys[order[low]] < key:
            low += 1
        high -= 1
        while key < keys[order[high]]:
            high -= 1
        if low >= high:
            return low
        order[low], order[high] = order[high], order[low]
        low += 1


@njit(cache=True, nogil=True, **INTERNAL)
def _median(keys, order, a, b, c):
    first, second, third = keys[order[a]], keys[order[b]], keys[order[c]]
    if first < second:
        return b if second < third else (c if first < third else a)
    return a if first < third else (c if second < third else b)


@njit(cache=True, nogil=True, **INTERNAL)
def _key(boxes, children, node, distances, own):
    """Return the distance of an item, or of the box of an inner node."""
    if children[node, 1] < 0:
        return distances[children[node, 0]]
    dx = max(0.0, boxes[node, 0] - own[2], own[0] - boxes[node, 2])
    dy = max(0.0, boxes[node, 1] - own[3], own[1] - boxes[node, 3])
    return math.sqrt(dx * dx + dy * dy)


@njit(cache=True, nogil=True, **INTERNAL)
def _push(queue, keys, size, node, key):
    """Add a node to a binary min-heap of `size` nodes, and return the new size."""
    _sift_up(queue, keys, size, node, key)
    return size + 1


@njit(cache=True, nogil=True, **INTERNAL)
def _sift_up(queue, keys, hole, node, key):
    parent = (hole - 1) // 2
    while hole > 0 and keys[parent] > key:
        queue[hole], keys[hole] = queue[parent], keys[parent]
        hole, parent = parent, (parent - 1) // 2
    queue[hole], keys[hole] = node, key


@njit(cache=True, nogil=True, **INTERNAL)
def _pop(queue, keys, size):
    """Remove the top of a heap as std::pop_heap does: the hole sinks to the bottom, and the last node is sifted up.

    Returns:
        The new size.
    """
    size -= 1
    node, key = queue[size], keys[size]
    hole, child = 0, 2
    while child <= size:
        # The right child if both are equal; std::pop_heap uses a single left child only at the end.
        if child == size or keys[child] > keys[child - 1]:
            child -= 1
        queue[hole], keys[hole] = queue[child], keys[child]
        hole, child = child, 2 * child + 2
    _sift_up(queue, keys, hole, node, key)
    return size
