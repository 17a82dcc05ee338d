/** The style of the page of `diff --html`. Its colours are those of src/page/page.css; without a script, the system chooses the theme. */
const LIGHT = `
  --page: #f6f7f9;
  --panel: #ffffff;
  --text: #161b22;
  --soft: #57606c;
  --line: #dfe3e8;
  --bad: #b3261e;
  --bad-pale: #fce8e6;
  --warn: #7a4d00;
  --warn-pale: #fdf0d5;
  --good: #1a6b3c;
  --good-pale: #e1f3e8;
`;

const DARK = `
  --page: #0e1116;
  --panel: #171b22;
  --text: #e8ebf0;
  --soft: #a0a9b6;
  --line: #2b323c;
  --bad: #ff9a91;
  --bad-pale: #3b1d1c;
  --warn: #f2c56b;
  --warn-pale: #33270f;
  --good: #7fd6a0;
  --good-pale: #15301f;
`;

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 1080px; padding: 24px;
  background: var(--page); color: var(--text);
  font: 14px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
header { border-left: 6px solid; border-radius: 8px; padding: 16px 20px; background: var(--panel); }
header.same { border-color: var(--good); background: var(--good-pale); }
header.differs { border-color: var(--bad); background: var(--bad-pale); }
header.doubtful { border-color: var(--warn); background: var(--warn-pale); }
h1 { margin: 0; font-size: clamp(20px, 0.9vw + 11px, 27px); font-weight: 650; line-height: 1.25; }
h2 { margin: 32px 0 8px; font-size: 18px; }
p { margin: 6px 0 0; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 6px 12px; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-size: 13px; font-weight: 600; }
tbody th { font-weight: 400; }
#sides th, #chosen th { width: 1%; white-space: nowrap; }
#sides td { min-width: 96px; }
tbody th.group { padding-top: 14px; color: var(--soft); font-size: 13px; font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.differs > * { color: var(--bad); background: var(--bad-pale); font-weight: 600; }
tr.sub > th { padding-left: 28px; }
.key { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace; font-size: 0.94em; unicode-bidi: isolate; }
.differences { min-width: 640px; }
.differences td.key { min-width: 200px; }
footer { margin-top: 32px; color: var(--soft); font-size: 13px; }
@media (max-width: 600px) { body { padding: 12px; } th, td { padding: 5px 8px; } }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  header, tr.differs > * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; }
  .differences { min-width: 0; }
  .differences td.key { min-width: 0; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
`;
