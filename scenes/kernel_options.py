"""Options of kernels that other kernels call, but Python does not, for numba's njit.

Numba compiles a second function around each kernel that takes Python's arguments, and a third for callbacks in C. That
takes a quarter of the time of compiling. Python must not call a kernel without them: the process would crash.
tests/scenes/test_kernel_options.py checks that it does not.

Numbers in calls between kernels are written as np.int64(0) where another call passes a variable: numba compiles a
function once more for each literal.
"""

from typing import Any, Final

INTERNAL: Final[dict[str, Any]] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
