import { readFileSync, writeFileSync } from 'node:fs';
import { keptResults, type CaseResult, type ClientResult } from './results.js';

const PAGE = 'docs/explanation/benchmarks.md';
const CASES = ['large-layers', 'referrers', 'referrers-again', 'same-registry', 'tags'];
const [BEGIN, END] = ['<!-- begin: written by test/bench/report.ts -->', '<!-- end -->'];

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 2 : 1);
}

/** Without spaces between the cells: they would count as words. */
function row({ client, wallMs, cpuMs, peakMb, requests }: ClientResult): string {
  const cells = [
    client,
    seconds(wallMs),
    seconds(cpuMs),
    Math.round(peakMb),
    requests.map((count) => Math.round(count)).join('/'),
  ];
  return `|${cells.join('|')}|`;
}

function verdict({ target, clients }: CaseResult): string {
  const ours = clients.find(({ client }) => client === 'acr-promoter');
  const oras = clients.find(({ client }) => client === 'oras');
  if (ours === undefined || oras === undefined) return '';
  const said = (what: string, aim: number | undefined, is: number): string[] =>
    aim === undefined ? [] : [`${what} ${is.toFixed(2)} of oras (target ${aim}${is <= aim ? '' : ', missed'})`];
  return [
    ...said('wall', target.wall, ours.wallMs / oras.wallMs),
    ...said('CPU', target.cpu, ours.cpuMs / oras.cpuMs),
  ].join('; ');
}

function section(result: CaseResult): string {
  const aimed = verdict(result);
  return [
    `**${result.title.charAt(0).toUpperCase()}${result.title.slice(1)}**${aimed === '' ? '' : `: ${aimed}`}`,
    '',
    '|client|wall (s)|CPU (s)|memory (MB)|requests|',
    '|-|-|-|-|-|',
    ...result.clients.map(row),
    '',
  ].join('\n');
}

/** Writes the tables of the last runs into the page. */
export function writeReport(): void {
  const text = readFileSync(PAGE, 'utf8');
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${PAGE} has no place for tables`);
  const tables = keptResults(CASES).map(section).join('\n');
  writeFileSync(PAGE, `${text.slice(0, before)}${BEGIN}\n\n${tables}\n${text.slice(after)}`);
}
