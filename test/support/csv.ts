/** The records of a CSV text (RFC 4180), without a line end of their own in the last one. Written apart from what writes it. */
export function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let i = 0;
  while (i < text.length) {
    let field = '';
    if (text[i] === '"') {
      for (i++; text[i] !== '"' || text[i + 1] === '"'; i++) {
        if (i >= text.length) throw new Error('a quoted field does not end');
        if (text[i] === '"') i++;
        field += text[i];
      }
      i++;
    } else {
      for (; i < text.length && text[i] !== ',' && text[i] !== '\n'; i++) {
        if (text[i] === '"' || text[i] === '\r') throw new Error(`${JSON.stringify(text[i])} in a field without quotes`);
        field += text[i];
      }
    }
    record.push(field);
    if (text[i] === '\n') {
      records.push(record);
      record = [];
    } else if (text[i] !== ',') {
      throw new Error(`${JSON.stringify(text[i])} after a field`);
    }
    i++;
  }
  if (record.length > 0) throw new Error('the last line does not end');
  return records;
}
