import { readFileSync, writeFileSync } from 'node:fs';
import { keptResults, type CaseResult, type ClientResult } from './results.js';

const PAGE = 'docs/explanation/benchmarks.md';
const CASES = ['large-layers', 'referrers', 'referrers-again', 'same-registry', 'tags'];
const COPIES = ['<!-- begin: written by test/bench/report.ts -->', '<!-- end -->'] as const;
const SBOMS = ['<!-- begin: times, by report.ts -->', '<!-- end: times -->'] as const;

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

const OUT = 'out/bench';
/** The images of bench/sbom.test, whether their layers were read before (`warm`), and the first cells of their rows. */
const IMAGES = [
  ['debian', 'cold', '149MB|cold'],
  ['debian', 'warm', '149MB|warm'],
  ['large', 'cold', '1.45GB|cold'],
  ['large', 'warm', '1.45GB|warm'],
  ['second', 'warm', '149MB|base warm'],
] as const;
const TOOLS = ['acr-promoter', 'syft', 'trivy'];

/** What bench/sbom.test keeps of a tool. */
interface SbomTimes {
  cache: string;
  tool: string;
  wallMs: number;
  cpuMs: number;
  peakMb: number;
  diskMb: number;
}

/** One row for each image: in each cell acr-promoter, syft, trivy. */
function sbomTable(): string {
  const rows = IMAGES.map(([image, cache, title]) => {
    const all = JSON.parse(readFileSync(`${OUT}/sbom-bench-${image}.json`, 'utf8')) as SbomTimes[];
    const found = TOOLS.map((tool) => all.find((each) => each.tool === tool && each.cache === cache));
    const cell = (show: (times: SbomTimes) => string): string =>
      found.map((times) => (times === undefined ? '?' : show(times))).join('/');
    const cells = [
      cell(({ wallMs }) => seconds(wallMs)),
      cell(({ cpuMs }) => seconds(cpuMs)),
      cell(({ peakMb }) => `${peakMb}`),
      cell(({ diskMb }) => `${diskMb}`),
    ];
    return `|${title}|${cells.join('|')}|`;
  });
  return ['|image|layers|wall (s)|CPU (s)|memory (MB)|disk (MB)|', '|-|-|-|-|-|-|', ...rows, ''].join('\n');
}

/** @param marks the comments around the tables */
function replaced(text: string, [begin, end]: typeof COPIES | typeof SBOMS, tables: string): string {
  const [before, after] = [text.indexOf(begin), text.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`${PAGE} has no place for tables`);
  return `${text.slice(0, before)}${begin}\n\n${tables}\n${text.slice(after)}`;
}

/** Writes the tables of the last runs into the page. */
export function writeReport(): void {
  const text = readFileSync(PAGE, 'utf8');
  const copies = replaced(text, COPIES, keptResults(CASES).map(section).join('\n'));
  writeFileSync(PAGE, replaced(copies, SBOMS, sbomTable()));
}
