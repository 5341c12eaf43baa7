"""Run all benchmarks, or the named ones (`python -m benchmarks.run rasterizer`)."""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names):
    benches = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    unknown = sorted(set(names) - set(benches))
    if unknown:
        sys.exit(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(benches)}")
    for name in names or benches:
        importlib.import_module(f"benchmarks.bench_{name}").run()


if __name__ == "__main__":
    main(sys.argv[1:])
