import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, type Measure } from './measure.js';
import type { LoggedRequest } from './servers.js';

/** One run of one client. */
export interface Run extends Measure {
  /** Requests by side; one list where both sides are one registry. */
  requests: LoggedRequest[][];
}

/** Medians of one client's runs. */
export interface ClientResult {
  client: string;
  wallMs: number;
  cpuMs: number;
  peakMb: number;
  /** `HTTP/1.1`, `HTTP/2.0`, or both, as the registries' logs have it. */
  protocols: string[];
  /** Requests at the source and at the destination. */
  requests: number[];
  /** The fastest and the slowest wall. */
  wallRangeMs: [number, number];
}

export interface CaseResult {
  name: string;
  title: string;
  /** Repetitions of each client. */
  repetitions: number;
  /** What is aimed at, of the wall and CPU of oras. */
  target: { wall: number; cpu?: number };
  clients: ClientResult[];
}

export function summarize(client: string, runs: readonly Run[]): ClientResult {
  const of = (pick: (run: Run) => number): number => median(runs.map(pick));
  const walls = runs.map((run) => run.wallMs);
  const sides = Math.max(...runs.map((run) => run.requests.length));
  return {
    client,
    wallMs: of((run) => run.wallMs),
    cpuMs: of((run) => run.cpuMs),
    peakMb: of((run) => run.peakMb),
    protocols: [...new Set(runs.flatMap((run) => run.requests.flat().map(({ protocol }) => protocol)))].sort(),
    requests: Array.from({ length: sides }, (_, side) => of((run) => run.requests[side]?.length ?? 0)),
    wallRangeMs: [Math.min(...walls), Math.max(...walls)],
  };
}

const FOLDER = join('out', 'bench');

export function keepResult(result: CaseResult): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, `${result.name}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
}

/** What the last runs kept, in this order; those that were not run are left out. */
export function keptResults(names: readonly string[]): CaseResult[] {
  return names.flatMap((name) => {
    try {
      return [JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as CaseResult];
    } catch {
      return [];
    }
  });
}

/** One line for a terminal: each client's figures, and ours as a part of those of oras. */
export function describeResult({ title, clients }: CaseResult): string {
  const oras = clients.find(({ client }) => client === 'oras');
  const lines = clients.map(({ client, wallMs, cpuMs, peakMb, requests, protocols }) => {
    const part =
      oras === undefined
        ? ''
        : ` (${(wallMs / oras.wallMs).toFixed(3)} of oras; CPU ${(cpuMs / oras.cpuMs).toFixed(2)})`;
    return `  ${client}: ${Math.round(wallMs)} ms, CPU ${Math.round(cpuMs)} ms, ${Math.round(peakMb)} MB, ${requests.join('/')} requests, ${protocols.join(' and ')}${part}`;
  });
  return [title, ...lines].join('\n');
}
