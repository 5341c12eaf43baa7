"""Style sheet that all pages share.

Colours are variables, set once for light and once for dark: `--ground` behind all, `--panel` and `--deep` of boxes,
`--chip` and `--track` of controls, `--line` of rules, `--ink`, `--soft`, `--faint` and `--dim` of texts from strong to
weak, `--accent` and `--second` of bars and links, `--wrong` and `--warn` with the grounds of their boxes, and `--c0` to
`--c7` of the series of charts. What is drawn over a dark picture stands in `.plate`, which is dark in both.
"""

from typing import Final

_DARK: Final = """
  --ground: #0c0e12; --panel: #151920; --deep: #10141a; --chip: #1c222c; --track: #232933; --line: #262c37;
  --ink: #d9dde5; --soft: #b4bbc8; --faint: #98a1b0; --dim: #8b94a3; --accent: #6cb6ff; --second: #a78bfa;
  --mark: #ffffff; --wrong: #ff8f99; --wrong-ground: #2a1519; --wrong-ink: #ffb3ba; --warn: #f4d35e;
  --warn-ground: #262414; --warn-ink: #e9dfb8; --best: #f6a54c; --won: #5cd6a3;
  --c0: #6cb6ff; --c1: #f6a54c; --c2: #5cd6a3; --c3: #e879b9; --c4: #f4d35e; --c5: #a78bfa; --c6: #ff8577;
  --c7: #9fb0c3;
"""
_LIGHT: Final = """
  --ground: #ffffff; --panel: #f3f5f8; --deep: #f8f9fb; --chip: #e6eaf0; --track: #dde2ea; --line: #d5dbe4;
  --ink: #171b22; --soft: #3b4452; --faint: #535d6c; --dim: #5f6978; --accent: #0b62c4; --second: #6a3fd1;
  --mark: #11151b; --wrong: #b3122a; --wrong-ground: #fdecee; --wrong-ink: #7d0f20; --warn: #b78a00;
  --warn-ground: #fff8dc; --warn-ink: #4d3d00; --best: #a34f00; --won: #0b7a4b;
  --c0: #0b62c4; --c1: #b85c00; --c2: #0b7a4b; --c3: #b0297c; --c4: #8a6d00; --c5: #6a3fd1; --c6: #c23a2b;
  --c7: #52617a;
"""

STYLE: Final = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
.plate {{ color-scheme: dark; {_DARK} background: var(--panel); color: var(--ink); }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; padding: 24px clamp(12px, 4vw, 56px) 64px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }}
h1 {{ font-size: 26px; line-height: 1.25; margin: 0 0 4px; }} h2 {{ font-size: 19px; margin: 40px 0 4px; }}
p {{ margin: 0 0 14px; color: var(--faint); max-width: 80ch; }}
figure {{ margin: 0; background: var(--panel); border-radius: 6px; overflow: hidden; }}
figcaption {{ padding: 7px 11px 9px; font-size: 13px; color: var(--soft); }}
table {{ border-collapse: collapse; font-size: 14px; }}
td, th {{ padding: 3px 18px 3px 0; text-align: left; }} th {{ color: var(--faint); font-weight: 500; }}
tbody tr:hover td {{ background: color-mix(in srgb, var(--accent) 7%, transparent); }}
.wide {{ overflow-x: auto; }}
.answer {{ margin: 16px 0 18px; padding: 14px 18px; max-width: 90ch; border-radius: 8px; background: var(--panel);
  border-left: 4px solid var(--accent); font-size: 16px; color: var(--ink); }}
.answer p {{ margin: 4px 0 0; font-size: 14px; color: var(--soft); }} .answer b {{ font-weight: 650; }}
.warning {{ max-width: 90ch; margin: 16px 0; padding: 10px 14px; border-left: 4px solid var(--warn);
  border-radius: 4px; background: var(--warn-ground); color: var(--warn-ink); }}
.won {{ color: var(--won); }} .lost {{ color: var(--wrong); }}
th.sorts {{ cursor: pointer; }} th.sorts:hover {{ color: var(--accent); }}
th[aria-sort=ascending]::after {{ content: " ↑"; }} th[aria-sort=descending]::after {{ content: " ↓"; }}
input.filter {{ display: block; margin: 6px 0; padding: 5px 10px; width: min(100%, 260px); border-radius: 6px;
  border: 1px solid var(--line); background: var(--ground); color: var(--ink); font: inherit; font-size: 13px; }}
figure img, figure.plate svg {{ cursor: zoom-in; }}
dialog.enlarged {{ border: 0; padding: 0; margin: auto; background: transparent; max-width: 100vw; max-height: 100vh; }}
dialog.enlarged::backdrop {{ background: #000c; }}
dialog.enlarged > * {{ display: block; width: min(98vw, 98vh * var(--aspect, 1)); max-width: none; height: auto;
  cursor: zoom-out; }}
"""
