import { formatDuration } from '../../../src/rules/duration.js';
import type { Row } from './rows.js';
import type { Ended } from './stage.js';

const [BEGIN, END] = ['<!-- begin: written by test/faults/trouble.test.ts, WRITE_DOCS=1 -->', '<!-- end -->'];

function lineOf(row: Row, ended: ReadonlyMap<Row, Ended>): string {
  const found = ended.get(row);
  if (found === undefined) throw new Error(`not played: ${row.what}`);
  const { result, waiting, elapsedMs } = found;
  const code = result.code ?? waiting?.waitsFor?.code;
  const parts = [
    ...(['promoted', 'failed'].includes(result.outcome) ? [] : [`\`${result.outcome}\``]),
    ...(code === undefined ? [] : [`\`${code}\``]),
    ...(elapsedMs < 1_000 ? [] : [`after ${formatDuration(elapsedMs)}`]),
  ];
  return [`- ${row.what}`, ...(parts.length === 0 ? [] : [parts.join(', ')])].join(': ');
}

/** The page with its lists written anew: what passes, with the code that the run shows meanwhile; then what ends a run. */
export function troublePage(
  page: string,
  [passing, forGood]: readonly [readonly Row[], readonly Row[]],
  ended: ReadonlyMap<Row, Ended>,
): string {
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (before < 0 || after < before) throw new Error('the page has no place for the lists');
  const list = (rows: readonly Row[]): string => rows.map((row) => lineOf(row, ended)).join('\n');
  const lists = `The run ends as \`promoted\`. A line names the failure, the code that the run shows while it waits, and how long the run takes if it waits:\n\n${list(passing)}\n\nThe run ends as \`failed\`, or as the outcome that the line names:\n\n${list(forGood)}`;
  return `${page.slice(0, before)}${BEGIN}\n\n${lists}\n\n${page.slice(after)}`;
}
