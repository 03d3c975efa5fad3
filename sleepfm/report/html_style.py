"""The look of a report's page: quiet, dense where numbers stand, and the same on paper."""

from __future__ import annotations

STYLE = """
:root{--ink:#1f2933;--quiet:#5b6673;--line:#dfe3e9;--soft:#f6f7f9}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:0 24px 40px}
.simulated{margin:0 -24px;padding:10px 24px;background:#fff3cd;border-bottom:2px solid #d9a400}
.simulated b{font-size:26px;letter-spacing:.04em;margin-right:12px;vertical-align:-3px}
.again{margin:0 0 4px;font-weight:700;font-size:18px;letter-spacing:.04em;color:#8a6500}
header{display:flex;gap:24px;align-items:flex-start;justify-content:space-between;margin:20px 0 14px}
header p{margin:0;color:var(--quiet);font-size:13px}
h1{margin:0;font-size:25px;font-weight:600;line-height:1.2;overflow-wrap:anywhere}
h2{margin:0 0 4px;font-size:15px;font-weight:600}
.state{max-width:520px;padding:8px 14px;border:2px solid;border-radius:5px;overflow-wrap:anywhere}
.state b{display:block;font-size:18px;letter-spacing:.03em}
header .draft{border-color:#b3402a;background:#fdf3f0;color:var(--ink)}.draft b{color:#b3402a}
header .signed{border-color:#2f6b3c;background:#f0f7f1;color:var(--ink)}.signed b{color:#2f6b3c}
dl{display:flex;flex-wrap:wrap;gap:6px 30px;margin:0 0 12px;padding:8px 0;border-block:1px solid var(--line)}
dt{color:var(--quiet);font-size:12px}dd{margin:0;overflow-wrap:anywhere}
.remarks{margin:0 0 12px;padding:6px 10px 6px 28px;border-left:4px solid #d9a400;background:#fffaf0}
.groups{columns:2 330px;column-gap:40px}article{break-inside:avoid;margin-bottom:14px}
article table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
article th{font-weight:400;text-align:left}article td{text-align:right;font-weight:600;white-space:nowrap;padding-left:6px}
article tr>*{padding-block:2px;border-bottom:1px solid var(--line);vertical-align:baseline}
article h2{display:flex;justify-content:space-between;align-items:baseline;gap:12px}
article i{font-style:normal;font-weight:400;color:var(--quiet);font-size:12px}
.ahi{margin:10px 0 0}.quiet{margin:6px 0 0;color:var(--quiet);font-size:12.5px;max-width:110ch}
figure{margin:16px 0 0}figure svg{display:block;width:100%;height:auto}
svg text{font-family:"DejaVu Sans",Verdana,system-ui,sans-serif!important}
figcaption{color:var(--quiet);font-size:12.5px}
.table{margin-top:26px}
.table table{border-collapse:collapse;table-layout:fixed;font-variant-numeric:tabular-nums;font-size:13px}
.table th,.table td{padding:4px 14px 4px 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.table th{font-weight:600;border-bottom-color:var(--quiet)}.table .number{text-align:right}
footer{margin-top:30px;padding-top:8px;border-top:1px solid var(--line);color:var(--quiet);font-size:12.5px}
.mark{display:none}
@media print{
.mark{display:block;position:fixed;inset:42% 0 auto;text-align:center;font-size:36pt;font-weight:700;color:#d9a400;
opacity:.16;transform:rotate(-28deg);white-space:nowrap}
body{font-size:8.5pt}main{max-width:none;padding:0}.simulated{margin:0;padding:4pt 10pt}.simulated b{font-size:17pt}
header{margin:6pt 0 6pt}h1{font-size:16pt}h2{font-size:10pt}.state b{font-size:12pt}dl{margin-bottom:6pt;padding:4pt 0}
.groups{columns:2;column-gap:26px}article{margin-bottom:8pt}article th{white-space:nowrap}article tr>*{padding-block:1px}
dt,article i,article h2 i,.quiet,figcaption,footer{font-size:7.5pt}
.again{font-size:12pt}figure{margin-top:8pt}.table{margin-top:14pt}
figure,article,tr{break-inside:avoid}h2,.again{break-after:avoid}
.simulated,.state,.remarks{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.table table{font-size:8pt}}
@page{margin:14mm}
"""
