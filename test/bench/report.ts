import { readFileSync, writeFileSync } from 'node:fs';
import { keptResults, type CaseResult, type ClientResult } from './results.js';

/** What is written where, in this order. */
const REPORTS = [
  {
    file: 'docs/explanation/benchmarks.md',
    cases: ['large-layers', 'referrers', 'referrers-again', 'same-registry', 'tags'],
  },
];
const [BEGIN, END] = ['<!-- begin: written by test/bench/report.ts -->', '<!-- end -->'];

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 2 : 1);
}

function row(
  { client, wallMs, wallRangeMs, cpuMs, peakMb, requests, protocols }: ClientResult,
  oras?: ClientResult,
): string {
  const part = (own: number, other: number | undefined): string[] =>
    other === undefined ? [] : [(own / other).toFixed(other > 10 * own ? 3 : 2)];
  const cells = [
    client,
    `${seconds(wallMs)} s (${wallRangeMs.map(seconds).join(' to ')})`,
    ...part(wallMs, oras?.wallMs),
    `${seconds(cpuMs)} s`,
    ...part(cpuMs, oras?.cpuMs),
    `${Math.round(peakMb)} MB`,
    requests.map((count) => Math.round(count)).join(' / '),
    protocols.map((protocol) => protocol.replace('HTTP/2.0', 'HTTP/2')).join(', '),
  ];
  return `| ${cells.join(' | ')} |`;
}

function verdict({ target, clients }: CaseResult): string {
  const ours = clients.find(({ client }) => client === 'acr-promoter');
  const oras = clients.find(({ client }) => client === 'oras');
  if (ours === undefined || oras === undefined) return '';
  const said = (what: string, aim: number | undefined, is: number): string[] =>
    aim === undefined
      ? []
      : [`${what} at most ${aim} of that of oras: ${is <= aim ? 'reached' : 'missed'} (${is.toFixed(3)})`];
  const lines = [
    ...said('wall', target.wall, ours.wallMs / oras.wallMs),
    ...said('CPU', target.cpu, ours.cpuMs / oras.cpuMs),
  ];
  return `Aimed at: ${lines.join('; ')}.`;
}

function section(result: CaseResult): string {
  const oras = result.clients.find(({ client }) => client === 'oras');
  const aimed = verdict(result);
  const of = oras === undefined ? '' : ' of oras |';
  return [
    `### ${result.title.charAt(0).toUpperCase()}${result.title.slice(1)}`,
    '',
    `| client | wall (fastest to slowest) |${of} CPU |${of} memory | requests | ALPN |`,
    `| --- | --- |${of === '' ? '' : ' --- |'} --- |${of === '' ? '' : ' --- |'} --- | --- | --- |`,
    ...result.clients.map((client) => row(client, oras)),
    '',
    `Medians of ${result.repetitions}.${aimed === '' ? '' : ` ${aimed}`}`,
    '',
  ].join('\n');
}

/** Writes the tables of what the last runs kept into the documents that show them. */
export function writeReport(): void {
  for (const { file, cases } of REPORTS) {
    const text = readFileSync(file, 'utf8');
    const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
    if (before < 0 || after < before) throw new Error(`${file} has no place for tables`);
    const tables = keptResults(cases).map(section).join('\n');
    writeFileSync(file, `${text.slice(0, before)}${BEGIN}\n\n${tables}\n${text.slice(after)}`);
  }
}
