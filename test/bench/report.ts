import { readFileSync, writeFileSync } from 'node:fs';
import { keptResults, type CaseResult, type ClientResult } from './results.js';

/** The cases in the order of the report. */
const CASES = ['large-layers', 'referrers', 'referrers-again', 'same-registry', 'tags'];
const FILE = 'docs/benchmarks.md';
const [BEGIN, END] = ['<!-- begin: written by test/bench/report.ts -->', '<!-- end -->'];

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 2 : 1);
}

function row(
  { client, wallMs, wallRangeMs, cpuMs, peakMb, requests, protocols }: ClientResult,
  oras?: ClientResult,
): string {
  const part = (own: number, other: number | undefined): string =>
    other === undefined ? '' : (own / other).toFixed(2);
  const cells = [
    client,
    `${seconds(wallMs)} s (${wallRangeMs.map(seconds).join(' to ')})`,
    part(wallMs, oras?.wallMs),
    `${seconds(cpuMs)} s`,
    part(cpuMs, oras?.cpuMs),
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
  return [
    `### ${result.title.charAt(0).toUpperCase()}${result.title.slice(1)}`,
    '',
    '| client | wall (fastest to slowest) | of oras | CPU | of oras | memory | requests | ALPN |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...result.clients.map((client) => row(client, oras)),
    '',
    `Medians of ${result.repetitions}. ${verdict(result)}`,
    '',
  ].join('\n');
}

/** Writes the tables of what the last runs kept into docs/benchmarks.md. */
export function writeReport(): void {
  const text = readFileSync(FILE, 'utf8');
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${FILE} has no place for tables`);
  const tables = keptResults(CASES).map(section).join('\n');
  writeFileSync(FILE, `${text.slice(0, before)}${BEGIN}\n\n${tables}\n${text.slice(after)}`);
}
