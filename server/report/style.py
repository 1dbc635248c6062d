"""Style sheet of the report; a Python string because app bundles carry no CSS files."""

CSS = """
:root { color-scheme: light; --ink: #1d2530; --quiet: #5f6978; --faint: #dfe3e8; --wash: #f6f7f9; --accent: #0072b2; }
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
h2 + .plots { margin-top: 1rem; }
h3 { font-size: 1rem; margin: 0 0 .1rem; }
p { margin: 0 0 .7rem; }
section { margin-top: 3.4rem; }
.lead { color: var(--quiet); max-width: 46rem; margin-bottom: 1.2rem; }
.brand { color: var(--accent); font-weight: 650; letter-spacing: .01em; }
.badge { display: inline-block; background: #ffd23f; color: #3a2a00; font-weight: 750; letter-spacing: .06em;
  font-size: .82rem; padding: .28rem .75rem; border-radius: 999px; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin: 0; color: var(--quiet); font-size: .9rem; }
.facts div { display: flex; gap: .45rem; }
.facts dt { color: var(--quiet); } .facts dd { margin: 0; color: var(--ink); }
.answer { margin-top: 2rem; padding: 1.7rem 2rem 1.3rem; background: #f0f6fb; border-left: 4px solid var(--accent);
  border-radius: 3px 12px 12px 3px; }
.answer h2 { font-size: clamp(1.25rem, 1rem + 1.1vw, 1.6rem); margin-bottom: .55rem; text-wrap: balance; }
.answer p { max-width: 60rem; margin-bottom: .5rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.2rem, 1fr)); gap: 1px; background: #fff;
  border: 1px solid var(--faint); border-radius: 12px; overflow: hidden; margin: 1.5rem 0 0; }
.tiles div { box-shadow: 0 0 0 1px var(--faint); padding: 1rem 1.2rem; display: flex; flex-direction: column; }
.tiles dt { color: var(--quiet); font-size: .83rem; line-height: 1.35; order: 2; }
.tiles dd { margin: 0 0 .1rem; font-size: 1.6rem; font-weight: 620; letter-spacing: -.02em; line-height: 1.25;
  order: 1; }
.tiles small { color: var(--quiet); font-size: .8rem; order: 3; }
.scroll { overflow: auto; max-height: 40rem; background-repeat: no-repeat; background-position: right;
  background-image: linear-gradient(to left, #fff 40%, #fff0), linear-gradient(to left, rgb(29 37 48 / .17), #fff0);
  background-size: 2.5rem 100%, .8rem 100%; background-attachment: local, scroll; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; line-height: 1.35; }
th, td { padding: .5rem .9rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--faint);
  white-space: nowrap; }
thead th { font-weight: 600; vertical-align: bottom; font-size: .84rem; white-space: normal; min-width: 6rem;
  border-bottom: 1.5px solid #b9c1cb; position: sticky; top: 0; background: #fff; z-index: 1; }
th:first-child { text-align: left; padding-left: 0; font-weight: 560; position: sticky; left: 0; background: #fff; }
tbody th { max-width: 15rem; overflow-wrap: anywhere; white-space: normal; }
td small { display: block; color: var(--quiet); font-size: .8rem; font-weight: 400; }
td.best { font-weight: 700; }
td.withheld { color: var(--quiet); font-style: italic; }
.overall tbody tr:first-child > * { border-bottom: 1.5px solid #b9c1cb; }
.total tbody tr:last-child > * { border-top: 1.5px solid #b9c1cb; }
.text td { text-align: left; white-space: normal; overflow-wrap: anywhere; } .text thead th { text-align: left; }
.text tbody th { overflow-wrap: normal; }
.swatch { display: block; width: 1.7rem; height: .28rem; border-radius: 2px; margin: 0 0 .3rem auto; }
.heat td { text-align: center; border: 2px solid #fff; border-radius: 6px; padding: .6rem; min-width: 4.6rem;
  vertical-align: middle; }
.heat td, .heat thead th + th { width: 9rem; } .heat thead th { text-align: center; border: 0; }
.heat thead th:first-child { text-align: left; color: var(--quiet); font-weight: 450; }
.heat tbody th { border: 0; vertical-align: middle; } .heat td.dark { color: #fff; }
.heat td.own { box-shadow: inset 0 0 0 2px #d55e00; font-weight: 650; }
.heat td.withheld { background: var(--wash); font-size: .85rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 2.6rem 3rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { color: var(--quiet); font-size: .88rem; line-height: 1.45; margin-bottom: .6rem; }
figcaption h3 { color: var(--ink); font-size: 1rem; }
svg { display: block; width: 100%; height: auto; max-width: 44rem; font-family: inherit; }
.wide { margin: 1.8rem 0 2.6rem; } .wide svg { max-width: none; } .wide + .plots { margin-bottom: 1.6rem; }
svg * { stroke-linejoin: round; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0; margin: .3rem 0 0;
  color: var(--ink); font-size: .84rem; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .4rem; }
details { border-top: 1px solid var(--faint); } details:last-of-type { border-bottom: 1px solid var(--faint); }
summary { cursor: pointer; padding: .8rem 0; font-weight: 560; }
summary small { color: var(--quiet); font-weight: 400; margin-left: .4rem; }
details > :not(summary) { margin-bottom: 1.3rem; }
code, pre { font: .84rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
pre { background: var(--wash); padding: 1rem 1.2rem; border-radius: 8px; overflow: auto; max-height: 34rem; }
ul.notes { padding-left: 1.2rem; margin-top: 0; max-width: 54rem; } ul.notes li { margin-bottom: .45rem; }
footer { color: var(--quiet); font-size: .86rem; margin-top: 3.5rem; padding-top: 1.3rem; padding-bottom: 3.5rem; }
footer p { max-width: 60rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; } main, header, footer { padding-left: 1.1rem; padding-right: 1.1rem; }
  header { padding-top: 1.6rem; }
  section { margin-top: 2.6rem; } .answer { padding: 1.2rem 1.2rem .8rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tiles div { padding: .8rem .9rem; }
  .tiles dd { font-size: 1.3rem; } th, td { padding: .45rem .6rem; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10pt; } main, header, footer { padding: 0; max-width: none; } header { padding-top: 0; }
  section { margin-top: 1.6rem; } h2, h3, .lead, summary { break-after: avoid; }
  tr, figure, .tiles, .answer, .lead { break-inside: avoid; }
  .scroll, pre { max-height: none; overflow: visible; background-image: none; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; } code { font-size: .68rem; }
  .tiles { grid-template-columns: repeat(5, 1fr); } .tiles div { padding: .6rem .7rem; }
  .tiles dd { font-size: 1.2rem; }
  .plots { grid-template-columns: 1fr 1fr; gap: 1.2rem; }
  th, td { padding: .3rem .45rem; } thead th, th:first-child { position: static; } thead th + th { min-width: 0; }
  .overall tbody, .total tbody, .heat tbody { break-inside: avoid-page; }
}
"""
