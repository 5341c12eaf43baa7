"""Style sheet and script of the report, in addition to those of `viz.html_page`."""

STYLE = """
h3 { font-size: 17px; margin: 34px 0 6px; } h4 { font-size: 14px; margin: 0 0 2px; color: var(--faint);
  font-weight: 500; }
small { color: var(--dim); font-weight: 400; } h3 small { font-size: 12px; overflow-wrap: anywhere; }
a { color: inherit; text-decoration: none; } .answer a, .notes a { text-decoration: underline; }
dl, dd, ul, ol { margin: 0; padding: 0; list-style: none; }
dt { color: var(--dim); font-size: 12px; } .note, .notes p { font-size: 13px; color: var(--faint); }
.notes { columns: 420px; column-gap: 40px; } .notes p { break-inside: avoid; } .notes b { color: var(--ink); }
.provenance { margin-top: 16px; display: flex; flex-wrap: wrap; gap: 6px 28px; font-size: 13px; }
.provenance dd { overflow-wrap: anywhere; }
details { margin-top: 10px; font-size: 13px; color: var(--faint); } summary { cursor: pointer; }
details pre { max-height: 340px; overflow: auto; padding: 10px 12px; background: var(--panel); font-size: 12px; }
.board { margin-top: 6px; }
.board li { display: grid; gap: 4px 26px; align-items: center; padding: 10px 14px; margin-bottom: 6px; border-radius:
  6px; background: var(--panel); grid-template-columns: minmax(150px, 1fr) minmax(180px, 1.2fr) auto; }
.board .who { font-weight: 600; overflow-wrap: anywhere; } .board .who span { color: var(--dim); font-weight: 400;
  margin-right: 10px; }
.board .who small { display: block; font-size: 12px; margin-left: 18px; }
.board .who:hover { color: var(--accent); }
.score { display: grid; grid-template-columns: auto 1fr; gap: 0 12px; align-items: center; }
.score b { font-size: 19px; font-variant-numeric: tabular-nums; } .score small { grid-column: 2; font-size: 12px; }
.facts { display: flex; gap: 22px; } .facts dd { font-variant-numeric: tabular-nums; }
.subs { grid-column: 1 / -1; display: grid; grid-template-columns: repeat(9, 1fr); gap: 12px; }
.sub span:first-child { font-size: 11px; color: var(--faint); }
.bar { display: block; position: relative; height: 10px; border-radius: 3px; background: var(--track); }
.bar > i { display: block; height: 100%; border-radius: 3px; background: var(--accent); }
.bar.two > i { background: var(--second); }
.bar .interval { position: absolute; top: 4px; height: 2px; background: var(--mark); border-radius: 0; }
.sub .bar { height: 5px; margin-top: 2px; }
.tabs { position: sticky; top: 0; z-index: 1; display: none; flex-wrap: wrap; gap: 6px; padding: 10px 0; margin-top:
  36px; background: var(--ground); border-bottom: 1px solid var(--line); }
.js .tabs { display: flex; }
.tabs a { padding: 4px 12px; border-radius: 14px; background: var(--chip); font-size: 13px; overflow-wrap: anywhere; }
.tabs a.on { background: var(--accent); color: var(--ground); }
.js .planner { display: none; } .js .planner.on { display: block; }
.planner { scroll-margin-top: 60px; } .planner > h2 { margin-top: 26px; }
.overview { display: grid; grid-template-columns: minmax(0, 1.5fr) minmax(0, 1fr); gap: 20px 48px; }
.subscores li { display: grid; grid-template-columns: 215px 1fr 1fr; gap: 14px; align-items: center; padding: 3px 0;
  font-size: 13px; }
.subscores .factor + .weighted { border-top: 1px solid var(--line); margin-top: 4px; padding-top: 7px; }
.subscores abbr { color: var(--dim); margin-left: 4px; } .pair { display: grid; grid-template-columns: 1fr 42px; gap:
  8px; align-items: center; }
.pair b { font-weight: 400; font-variant-numeric: tabular-nums; }
.group { margin: 0 0 36px; padding: 2px 18px 18px; border-radius: 8px; background: var(--deep); }
.group h3 { margin-top: 14px; }
.sum { font-size: 13px; max-width: none; } .sum span { margin-right: 12px; } .sum .total { font-size: 19px; color:
  var(--ink); margin-right: 10px; }
.sum .shown { color: var(--ink); }
.frames { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 24px; }
.frame { min-width: 0; } .frame .note { margin: 10px 0 0; }
.verdict { color: var(--ink); min-height: 3em; margin-bottom: 8px; overflow-wrap: anywhere; }
.above svg { display: block; width: 100%; height: auto; }
.reasons { margin: 10px 0; font-size: 13px; } .reasons li { display: grid; grid-template-columns: 22px 1fr; gap: 8px;
  padding: 3px 0; }
.reasons em { font-style: normal; color: var(--faint); margin-right: 4px; }
.reasons i { color: var(--faint); font-style: normal; }
.reasons .badge { width: 20px; height: 20px; border-radius: 10px; background: #ff5d6c; color: #fff; font-size: 12px;
  line-height: 20px; text-align: center; }
.error { margin: 10px 0; padding: 10px 12px; max-height: 220px; overflow: auto; background: var(--wrong-ground);
  color: var(--wrong-ink);
  border-radius: 6px; font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(96px, 1fr)); gap: 6px; }
.views figure { max-width: 480px; } .views img { display: block; width: 100%; height: auto; }
.views + .views { margin-top: 6px; }
.comparison { font-size: 13px; font-variant-numeric: tabular-nums; }
.comparison th, .comparison td { padding: 3px 14px 3px 0; vertical-align: bottom; }
.comparison td { vertical-align: top; } .comparison th { max-width: 22ch; overflow-wrap: anywhere; }
.pairs td:nth-child(-n+2), .means td:first-child { min-width: 19ch; max-width: 40ch; overflow-wrap: anywhere; }
.pairs td:nth-child(n+3), .pairs th:nth-child(n+3) { white-space: nowrap; }
.means th:nth-child(2) { white-space: nowrap; } .means th:nth-child(n+3) { min-width: 9ch; }
.differences { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.differences th, .differences td { padding: 3px 9px; text-align: right; white-space: nowrap; }
.differences th:first-child, .differences td:nth-child(-n+3) { text-align: left; }
.views figcaption { padding: 3px 7px 4px; font-size: 11px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 14px 0; padding: 8px 12px; border-radius: 6px;
  font-size: 12px; }
.legend li { display: flex; align-items: center; gap: 6px; }
.chart { max-width: 760px; } .chart svg { display: block; width: 100%; height: auto; } .chart figcaption { max-width:
  80ch; }
@media (max-width: 820px) {
  .frames, .overview, .board li { grid-template-columns: minmax(0, 1fr); }
  .verdict { min-height: 0; } .facts { flex-wrap: wrap; gap: 4px 18px; } .group { padding: 2px 10px 12px; }
  .subs { grid-template-columns: repeat(5, 1fr); gap: 8px 10px; }
  .subscores li { grid-template-columns: 1fr 1fr; gap: 2px 14px; padding: 5px 0; }
  .subscores .name { grid-column: 1 / -1; }
}
"""

# Shows one planner at a time, the one in the address; without scripts all are shown.
SCRIPT = """
const panes = [...document.querySelectorAll('.planner')], tabs = [...document.querySelectorAll('.tabs a')];
function show() {
  const name = location.hash.slice(1), chosen = panes.find(pane => pane.id === name) || panes[0];
  panes.forEach(pane => pane.classList.toggle('on', pane === chosen));
  tabs.forEach(tab => tab.classList.toggle('on', tab.hash === '#' + chosen.id));
}
if (panes.length > 1) {
  document.documentElement.classList.add('js');
  addEventListener('hashchange', show);
  show();
}
"""
