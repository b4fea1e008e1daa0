"""How evaluation.html, agreement.html and followup.html look, on a screen and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui,sans-serif; color: #1c2430; background: #f4f5f7; margin: 0 }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 60px }
h1 { font-size: 27px; margin: 0 0 2px }
h2 { font-size: 20px; margin: 38px 0 10px }
h3 { font-size: 16px; margin: 22px 0 8px }
p { margin: 6px 0; max-width: 78ch }
.quiet { color: #5b6675 }
.use { display: inline-block; background: #fff2d6; border: 1px solid #e3bd68;
  border-radius: 6px; padding: 3px 12px; margin: 10px 0; font-weight: 600 }
.cards { display: flex; flex-wrap: wrap; gap: 14px; margin: 12px 0 }
.card { background: #fff; border: 1px solid #d9dee5; border-radius: 10px; padding: 14px 18px; flex: 1 1 210px }
.card b { display: block; font-size: 29px; line-height: 1.25 }
.card .what { font-weight: 600 }
.card small { color: #5b6675; display: block }
table { border-collapse: collapse; background: #fff; font-size: 14.5px; width: 100% }
.scroll { overflow-x: auto; border: 1px solid #d9dee5; border-radius: 8px }
th,td { padding: 6px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid #e8ebef }
th:first-child,td:first-child { text-align: left }
th { background: #eef1f4; font-weight: 600 }
tr:last-child td { border-bottom: 0 }
td.words { text-align: left; white-space: normal }
.bad { color: #a3261d }
.charts { display: grid; grid-template-columns: repeat(auto-fit,minmax(320px,1fr)); gap: 14px }
svg { background: #fff; border: 1px solid #d9dee5; border-radius: 8px; width: 100% }
.grid { stroke: #e3e7ec }
.guide { stroke: #8b96a5; stroke-dasharray: 5 4 }
.curve { fill: none; stroke: #1769aa; stroke-width: 1.5 }
.band { fill: #1769aa; fill-opacity: .1 }
.dot { fill: #1769aa; fill-opacity: .7 }
.tick { font-size: 12px; fill: #5b6675 }
.title { font-size: 14px; font-weight: 600; fill: #1c2430 }
.middle { text-anchor: middle }
.end { text-anchor: end }
figure { margin: 0 0 18px }
figure img { width: 100%; border-radius: 8px; display: block }
code { font-size: 13px; word-break: break-all }
@media print {
  body { background: #fff }
  main { padding: 0 }
  figure, .card, svg { break-inside: avoid }
}
"""
