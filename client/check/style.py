"""Style sheet of the check's page; a Python string because app bundles carry no CSS files."""

CSS = """
:root { color-scheme: light; --ink: #1d2530; --quiet: #5f6978; --faint: #dfe3e8; --wash: #f6f7f9; --accent: #0072b2;
  --good: #00875f; --bad: #b3261e; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 -apple-system, BlinkMacSystemFont, "Segoe UI", Inter, Roboto, "Noto Sans", system-ui, sans-serif;
  font-variant-numeric: tabular-nums; }
main, header, footer { max-width: 74rem; margin: 0 auto; padding: 0 2rem; }
header { padding-top: 2.75rem; }
h1 { font-size: clamp(1.6rem, 1.2rem + 1.6vw, 2.2rem); line-height: 1.2; letter-spacing: -.015em;
  margin: .2rem 0 .7rem; text-wrap: balance; }
h2 { font-size: 1.3rem; letter-spacing: -.01em; line-height: 1.3; margin: 0 0 .35rem; }
p { margin: 0 0 .7rem; }
section { margin-top: 3.2rem; }
.lead { color: var(--quiet); max-width: 46rem; margin-bottom: 1.1rem; }
.brand { color: var(--accent); font-weight: 650; letter-spacing: .01em; }
.badge { display: inline-block; background: #ffd23f; color: #3a2a00; font-weight: 750; letter-spacing: .06em;
  font-size: .82rem; padding: .28rem .75rem; border-radius: 999px; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin: 0; color: var(--quiet); font-size: .9rem; }
.facts div { display: flex; gap: .45rem; } .facts dd { margin: 0; color: var(--ink); }
.answer { margin-top: 2rem; padding: 1.6rem 2rem 1.2rem; background: #eff8f4; border-left: 4px solid var(--good);
  border-radius: 3px 12px 12px 3px; }
.answer.refused { background: #fcf1f0; border-color: var(--bad); }
.answer h2 { font-size: clamp(1.25rem, 1rem + 1.1vw, 1.6rem); margin-bottom: .5rem; }
.answer ul { margin: 0 0 .7rem; padding-left: 1.2rem; } .answer li { margin-bottom: .25rem; max-width: 60rem; }
.answer .error { font-weight: 620; color: var(--bad); }
.answer h3 { font-size: .92rem; margin: .8rem 0 .2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.2rem, 1fr)); gap: 1px; background: #fff;
  border: 1px solid var(--faint); border-radius: 12px; overflow: hidden; margin: 1.5rem 0 0; }
.tiles div { box-shadow: 0 0 0 1px var(--faint); padding: 1rem 1.2rem; display: flex; flex-direction: column; }
.tiles dt { color: var(--quiet); font-size: .83rem; line-height: 1.35; order: 2; }
.tiles dd { margin: 0 0 .1rem; font-size: 1.6rem; font-weight: 620; letter-spacing: -.02em; line-height: 1.25; }
.scroll { overflow-x: auto; } details .scroll { overflow: auto; max-height: 44rem; }
.scroll + p { margin-top: .9rem; }
.picture { overflow-x: auto; margin-bottom: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; line-height: 1.35; }
th, td { padding: .42rem .9rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--faint);
  white-space: nowrap; }
thead th { font-weight: 600; vertical-align: bottom; font-size: .84rem; border-bottom: 1.5px solid #b9c1cb;
  position: sticky; top: 0; background: #fff; z-index: 1; }
th:first-child { text-align: left; padding-left: 0; font-weight: 560; white-space: normal; min-width: 10.5rem;
  overflow-wrap: break-word; }
tbody th small { display: block; color: var(--quiet); font-weight: 400; font-size: .82rem; }
td.text, th.text { text-align: left; } td.leak { color: #d55e00; font-weight: 650; }
td.bar { width: 22%; min-width: 7rem; } td.dots { color: #c4cbd4; } .dots,
td.centre, thead th.dots { text-align: center; }
td.dots.on { color: var(--accent); }
.bar i { display: block; height: .7rem; margin-top: .28rem; background: var(--accent); border-radius: 2px; }
.bar span { display: block; background: var(--wash); border-radius: 2px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 2.4rem 3rem; }
figure { margin: 1.6rem 0; min-width: 0; break-inside: avoid; }
figcaption { color: var(--quiet); font-size: .88rem; line-height: 1.45; margin-bottom: .7rem; max-width: 46rem; }
svg { display: block; font-family: inherit; }
details { border-top: 1px solid var(--faint); } details:last-of-type { border-bottom: 1px solid var(--faint); }
summary { cursor: pointer; padding: .8rem 0; font-weight: 560; }
summary small { color: var(--quiet); font-weight: 400; margin-left: .4rem; }
footer { color: var(--quiet); font-size: .86rem; margin-top: 3.2rem; padding-top: 1.3rem; padding-bottom: 3.5rem; }
footer p { max-width: 60rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; } main, header, footer { padding-left: 1.1rem; padding-right: 1.1rem; }
  header { padding-top: 1.6rem; } section { margin-top: 2.5rem; } .answer { padding: 1.2rem 1.2rem .8rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tiles div { padding: .8rem .9rem; }
  .tiles dd { font-size: 1.3rem; } th, td { padding: .4rem .6rem; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10pt; } main, header, footer { padding: 0; max-width: none; } header { padding-top: 0; }
  section { margin-top: 1.6rem; } tr, figure, .tiles, .answer { break-inside: avoid; }
  .scroll, details .scroll { max-height: none; overflow: visible; } svg { max-width: 100%; height: auto; }
  thead th { position: static; } th, td { padding: .25rem .4rem; }
}
"""
