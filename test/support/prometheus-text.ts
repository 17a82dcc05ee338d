export interface Metric {
  help: string;
  type: string;
  samples: { labels: Record<string, string>; value: number }[];
}

const NAME = /^[a-zA-Z_:][\w:]*/;
const LABEL = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(,?)/;
const NUMBER = /^[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|Inf|NaN)$/i;

/**
 * The text format 0.0.4 of Prometheus, as its documentation has it: each metric once, HELP and TYPE before its samples, no sample twice,
 * a line feed at the end. Throws what is wrong.
 */
export function parseMetrics(text: string): Map<string, Metric> {
  if (!text.endsWith('\n')) throw new Error('no line feed at the end');
  const metrics = new Map<string, Metric>();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, what, name, rest] = comment;
      if (name !== current && metrics.has(name)) throw new Error(`${name} comes twice`);
      current = name;
      const metric = metrics.get(name) ?? { help: '', type: '', samples: [] };
      metrics.set(name, metric);
      if (metric.samples.length > 0) throw new Error(`${what} of ${name} after its samples`);
      if (what === 'HELP') metric.help = rest;
      else if (/^(?:counter|gauge)$/.test(rest)) metric.type = rest;
      else throw new Error(`TYPE ${rest}`);
      continue;
    }
    const { labels, name, value } = parseSample(line);
    const metric = metrics.get(name);
    if (metric === undefined || name !== current) throw new Error(`${name} without HELP and TYPE before it`);
    const sort = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(sort)) throw new Error(`twice: ${line}`);
    seen.add(sort);
    metric.samples.push({ labels, value });
  }
  return metrics;
}

function parseSample(line: string): { name: string; labels: Record<string, string>; value: number } {
  const name = NAME.exec(line)?.[0] ?? '';
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (name !== '' && rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const match = LABEL.exec(rest);
      if (match === null) throw new Error(`labels: ${line}`);
      const [all, label, value] = match;
      if (label in labels) throw new Error(`label ${label} twice: ${line}`);
      labels[label] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
      rest = rest.slice(all.length);
    }
    rest = rest.slice(1);
  }
  const number = rest.trim();
  if (name === '' || !rest.startsWith(' ') || !NUMBER.test(number)) throw new Error(`no sample: ${line}`);
  return { name, labels, value: number.endsWith('Inf') ? (number.startsWith('-') ? -Infinity : Infinity) : Number(number) };
}
