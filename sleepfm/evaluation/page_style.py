"""The look of an evaluation's page: light, calm, and the same on paper."""

from __future__ import annotations

STYLE = """
:root{--ink:#1f2933;--quiet:#5b6673;--line:#dfe3e9;--soft:#f6f7f9;--accent:#1f5f99}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:0 28px 48px}
.simulated,.research{margin:0 -28px;padding:9px 28px;font-size:14px}
.simulated{background:#fff3cd;border-bottom:1px solid #e8cf7a;font-weight:600}
.research{background:var(--soft);border-bottom:1px solid var(--line);color:var(--quiet)}
header>p{margin:26px 0 0;color:var(--quiet);font-size:13px}
h1{margin:0 0 12px;font-size:27px;font-weight:600;line-height:1.2}
h2{margin:40px 0 4px;font-size:19px;font-weight:600}
h3{margin:18px 0 6px;font-size:15px;font-weight:600}
section>p{margin:0 0 8px;max-width:76ch;color:var(--quiet)}
dl{display:flex;flex-wrap:wrap;gap:10px 36px;margin:0}
dt{color:var(--quiet);font-size:13px}dd{margin:0;overflow-wrap:anywhere}
.warnings{margin-top:20px;border-left:4px solid #d9a400;background:#fffaf0;padding:8px 18px}
.warnings h2{margin:0;font-size:15px}.warnings ul{margin:4px 0;padding-left:20px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(205px,1fr));gap:12px;margin-top:22px}
article{border:1px solid var(--line);border-radius:6px;padding:12px 14px;break-inside:avoid}
article p{margin:0}.name{font-size:13.5px;min-height:2.6em;line-height:1.3}
.big{font-size:29px;font-weight:600;line-height:1.25;color:var(--accent)}
.interval{margin-bottom:4px!important;font-variant-numeric:tabular-nums}.baseline{font-size:13.5px}.quiet{color:var(--quiet);font-size:13px}
.reading{margin:14px 0 0;max-width:100ch;color:var(--quiet);font-size:13.5px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin-top:18px;padding:10px 0;border-block:1px solid var(--line);font-size:14px}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
.table{overflow-x:auto;break-inside:avoid-page}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}
th,td{padding:5px 14px 5px 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;font-size:13px;vertical-align:bottom;border-bottom:1px solid var(--quiet);max-width:150px}
.words{text-align:left}td.words{max-width:420px;overflow-wrap:anywhere}
.roomy td i{display:inline-block;min-width:118px;padding-left:10px}
td i{display:block;font-style:normal;font-size:12.5px;color:var(--quiet);white-space:nowrap}
sup{color:var(--quiet);font-size:11px;line-height:0;margin-left:2px}
.notes{max-width:84ch;margin-top:6px;color:var(--quiet);font-size:13px}.notes p{margin:0 0 2px}
.notes ol{margin:2px 0;padding-left:22px}
.parts{display:flex;flex-wrap:wrap;gap:0 44px;align-items:flex-start}.table{max-width:100%}
.figures{display:flex;flex-wrap:wrap;gap:14px 26px;align-items:flex-start;margin-top:18px;max-width:100%}
figure{margin:0;break-inside:avoid}figcaption b{font-weight:600}figcaption span{display:block;color:var(--quiet);font-size:13px}
figure{max-width:100%}.small{flex:0 1 352px}.wide{flex:0 1 620px}
figure svg{display:block;max-width:100%;height:auto;margin-top:4px}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif!important}
footer{margin-top:44px;padding-top:10px;border-top:1px solid var(--line);color:var(--quiet);font-size:13px}
@media print{.small{flex-basis:47%}
body{font-size:11pt}main{max-width:none;padding:0}.simulated,.research{margin:0;padding:6px 0}nav{display:none}
table{font-size:8.5pt}th{font-size:8pt;max-width:22mm}td,th{padding-right:7px}td i{font-size:7.5pt;white-space:normal}
h2,h3{break-after:avoid}tr{break-inside:avoid}.table{overflow:visible}}
@page{margin:16mm}
"""
