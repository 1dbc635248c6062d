"""How every page looks: its colours, and the part of its style sheet that all pages share.

The sheet is a Python string because app bundles carry no CSS files. Pages that sites and the coordinator
write are read side by side, so they look alike; each adds what it alone has.
"""

from __future__ import annotations

INK, QUIET, FAINT, WASH = "#1d2530", "#5f6978", "#dfe3e8", "#f6f7f9"
ACCENT, ALARM = "#0072b2", "#d55e00"
_PALE, _DARK = (0xF0, 0xF5, 0xFA), (0x0B, 0x4F, 0x86)
_MIDDLE = 0.67
"""On darker shades white text has more contrast than ink (relative luminance of WCAG 2)."""


def shade(share: float) -> str:
    """Return the colour of a share, 0 to 1, in maps of shares: darker is more."""
    mixed = (round(pale + (dark - pale) * share) for pale, dark in zip(_PALE, _DARK, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def ink_on(share: float) -> str:
    """Return the colour of text that is written on :func:`shade` of a share."""
    return "#fff" if share > _MIDDLE else INK


_COLOURS = f"""
:root {{ color-scheme: light; --ink: {INK}; --quiet: {QUIET}; --faint: {FAINT}; --wash: {WASH}; --accent: {ACCENT};
  --alarm: {ALARM}; --good: #00875f; --bad: #b3261e; }}
"""
CSS = (
    _COLOURS
    + """* { box-sizing: border-box; }
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
section { margin-top: 3.3rem; }
.lead { color: var(--quiet); max-width: 46rem; margin-bottom: 1.2rem; }
.brand { color: var(--accent); font-weight: 650; letter-spacing: .01em; }
.badge { display: inline-block; background: #ffd23f; color: #3a2a00; font-weight: 750; letter-spacing: .06em;
  font-size: .82rem; padding: .28rem .75rem; border-radius: 999px; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin: 0; color: var(--quiet); font-size: .9rem; }
.facts div { display: flex; gap: .45rem; } .facts dd { margin: 0; color: var(--ink); }
.answer { margin-top: 2rem; padding: 1.65rem 2rem 1.25rem; background: #f0f6fb; border-left: 4px solid var(--accent);
  border-radius: 3px 12px 12px 3px; }
.answer h2 { font-size: clamp(1.25rem, 1rem + 1.1vw, 1.6rem); margin-bottom: .55rem; text-wrap: balance; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.2rem, 1fr)); gap: 1px; background: #fff;
  border: 1px solid var(--faint); border-radius: 12px; overflow: hidden; margin: 1.5rem 0 0; }
.tiles div { box-shadow: 0 0 0 1px var(--faint); padding: 1rem 1.2rem; display: flex; flex-direction: column; }
.tiles dt { color: var(--quiet); font-size: .83rem; line-height: 1.35; order: 2; }
.tiles dd { margin: 0 0 .1rem; font-size: 1.6rem; font-weight: 620; letter-spacing: -.02em; line-height: 1.25;
  order: 1; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; line-height: 1.35; }
th, td { padding: .45rem .9rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--faint);
  white-space: nowrap; }
thead th { font-weight: 600; vertical-align: bottom; font-size: .84rem; border-bottom: 1.5px solid #b9c1cb;
  position: sticky; top: 0; background: #fff; z-index: 1; }
th:first-child { text-align: left; padding-left: 0; font-weight: 560; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { color: var(--quiet); font-size: .88rem; line-height: 1.45; margin-bottom: .6rem; }
svg { display: block; font-family: inherit; }
details { border-top: 1px solid var(--faint); } details:last-of-type { border-bottom: 1px solid var(--faint); }
summary { cursor: pointer; padding: .8rem 0; font-weight: 560; }
summary small { color: var(--quiet); font-weight: 400; margin-left: .4rem; }
footer { color: var(--quiet); font-size: .86rem; margin-top: 3.4rem; padding-top: 1.3rem; padding-bottom: 3.5rem; }
footer p { max-width: 60rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; } main, header, footer { padding-left: 1.1rem; padding-right: 1.1rem; }
  header { padding-top: 1.6rem; } section { margin-top: 2.6rem; } .answer { padding: 1.2rem 1.2rem .8rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tiles div { padding: .8rem .9rem; }
  .tiles dd { font-size: 1.3rem; } th, td { padding: .42rem .6rem; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10pt; } main, header, footer { padding: 0; max-width: none; } header { padding-top: 0; }
  section { margin-top: 1.6rem; } h2, h3, .lead, summary { break-after: avoid; }
  tr, figure, .tiles, .answer, .lead { break-inside: avoid; }
  th, td { padding: .28rem .42rem; } thead th { position: static; }
}
"""
)
