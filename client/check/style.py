"""What the check's page alone adds to the style sheet of all pages."""

from common import page_style

CSS = (
    page_style.CSS
    + """
.answer { background: #eff8f4; border-color: var(--good); }
.answer.refused { background: #fcf1f0; border-color: var(--bad); }
.answer ul { margin: 0 0 .7rem; padding-left: 1.2rem; } .answer li { margin-bottom: .25rem; max-width: 60rem; }
.answer .error { font-weight: 620; color: var(--bad); overflow-wrap: anywhere; }
.answer h3 { font-size: .92rem; margin: .8rem 0 .2rem; }
.scroll { overflow-x: auto; } details .scroll { overflow: auto; max-height: 44rem; }
.scroll + p { margin-top: .9rem; }
.picture { overflow-x: auto; margin-bottom: 1.2rem; }
th:first-child { white-space: normal; min-width: 10.5rem; overflow-wrap: break-word; }
tbody th small { display: block; color: var(--quiet); font-weight: 400; font-size: .82rem; }
td.text, th.text { text-align: left; } td.leak { color: var(--alarm); font-weight: 650; }
td.bar { width: 22%; min-width: 7rem; } td.dots { color: #c4cbd4; }
.dots, td.centre, thead th.dots { text-align: center; } td.dots.on { color: var(--accent); }
.bar i { display: block; height: .7rem; margin-top: .28rem; background: var(--accent); border-radius: 2px; }
.bar span { display: block; background: var(--wash); border-radius: 2px; }
figure { margin: 1.6rem 0; } figcaption { max-width: 46rem; }
@media print {
  .scroll, details .scroll { max-height: none; overflow: visible; } svg { max-width: 100%; height: auto; }
}
"""
)
