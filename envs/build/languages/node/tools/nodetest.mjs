// A reporter for `node --test`: the results of each file in the shape of Jest's JSON.
import { resolve } from 'node:path';

export default async function* report(source) {
  const files = new Map();
  const names = [];
  const inner = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names.length = data.nesting;
      names[data.nesting] = String(data.name);
      inner.length = Math.min(inner.length, data.nesting + 1);
      continue;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const level = data.nesting;
    const parents = inner[level + 1] || 0;
    inner[level + 1] = 0;
    inner[level] = (inner[level] || 0) + 1;
    const details = data.details || {};
    const onlyInner = details.error && details.error.failureType === 'subtestsFailed';
    const file = data.file ? String(data.file).replace(/^file:\/\//, '') : '';
    const isFile = level === 0 && (!file || resolve(String(data.name)) === resolve(file)) && /\.[cm]?[jt]sx?$/.test(String(data.name));
    if (parents && (details.type === 'suite' || onlyInner || isFile) && (type === 'test:pass' || onlyInner)) continue;
    const at = file || (isFile ? resolve(String(data.name)) : names.length && /\.[cm]?[jt]sx?$/.test(names[0]) ? resolve(names[0]) : '');
    const titles = names.slice(0, level).filter((name, index) => index || resolve(name) !== at).map(String);
    const status = data.skip !== undefined && data.skip !== false ? 'skipped'
      : data.todo !== undefined && data.todo !== false ? 'todo' : type === 'test:pass' ? 'passed' : 'failed';
    if (status === 'failed') process.stderr.write(`not ok: ${[...titles, data.name].join(' > ')}\n${reason(details.error)}\n`);
    if (!files.has(at)) files.set(at, []);
    files.get(at).push({ ancestorTitles: titles, title: isFile ? 'runs' : String(data.name), status });
  }
  const testResults = [...files].map(([name, assertionResults]) => ({
    name, assertionResults, status: assertionResults.some((one) => one.status === 'failed') ? 'failed' : 'passed',
  }));
  yield JSON.stringify({ testResults });
}

function reason(error) {
  const cause = error && error.cause ? error.cause : error;
  return String((cause && (cause.stack || cause.message)) || cause || '');
}
