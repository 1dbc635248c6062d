"""What the report alone adds to the style sheet of all pages."""

from common import page_style

CSS = (
    page_style.CSS
    + """
h2 + .plots { margin-top: 1rem; }
h3 { font-size: 1rem; margin: 0 0 .1rem; }
.scroll + h3, .scroll + .plots { margin-top: 1.8rem; }
.answer p { max-width: 60rem; margin-bottom: .5rem; }
.tiles small { color: var(--quiet); font-size: .8rem; order: 3; }
.scroll { overflow: auto; max-height: 40rem; background-repeat: no-repeat; background-position: right;
  background-image: linear-gradient(to left, #fff 40%, #fff0), linear-gradient(to left, rgb(29 37 48 / .17), #fff0);
  background-size: 2.5rem 100%, .8rem 100%; background-attachment: local, scroll; }
thead th { white-space: normal; min-width: 6rem; } .whole { white-space: nowrap; }
th:first-child { position: sticky; left: 0; background: #fff; }
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
.heat td.own { box-shadow: inset 0 0 0 2px var(--alarm); font-weight: 650; }
.heat td.withheld { background: var(--wash); font-size: .85rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 2.6rem 3rem; }
figcaption h3 { color: var(--ink); font-size: 1rem; }
svg { width: 100%; height: auto; max-width: 44rem; }
.wide { margin: 1.8rem 0 2.6rem; } .wide svg { max-width: none; } .wide + .plots { margin-bottom: 1.6rem; }
svg * { stroke-linejoin: round; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0; margin: .3rem 0 0;
  color: var(--ink); font-size: .84rem; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .4rem; }
details > :not(summary) { margin-bottom: 1.3rem; }
code, pre { font: .84rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
pre { background: var(--wash); padding: 1rem 1.2rem; border-radius: 8px; overflow: auto; max-height: 34rem; }
ul.notes { padding-left: 1.2rem; margin-top: 0; max-width: 54rem; } ul.notes li { margin-bottom: .45rem; }
@media print {
  .scroll, pre { max-height: none; overflow: visible; background-image: none; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; } code { font-size: .68rem; }
  .tiles { grid-template-columns: repeat(5, 1fr); } .tiles div { padding: .6rem .7rem; }
  .tiles dd { font-size: 1.2rem; }
  .plots { grid-template-columns: 1fr 1fr; gap: 1.2rem; }
  th:first-child { position: static; } thead th + th { min-width: 0; }
  .overall tbody, .total tbody, .heat tbody { break-inside: avoid-page; }
}
"""
)
