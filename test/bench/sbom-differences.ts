import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = 'docs/explanation/benchmarks.md';
const [BEGIN, END] = [
  '<!-- begin: written by test/bench/sbom-packages.test.ts, WRITE_DOCS=1 -->',
  '<!-- end: SBOMs -->',
];

/** A package that acr-promoter and another tool do not both list. */
export interface Difference {
  tool: string;
  image: string;
  /** `type/name@version` */
  purl: string;
  /** Where it was found. */
  place: string;
  /** True if the other tool lists it and acr-promoter does not. */
  isTheirs: boolean;
}

interface Reason {
  why: string;
  isTheirs: boolean;
  tool?: string;
  place?: RegExp;
  purl?: RegExp;
}

/** Every reason for which another tool lists what we do not, or the other way round. */
const REASONS: readonly Reason[] = [
  {
    why: 'file of a listed Debian package',
    isTheirs: true,
    place: /^\/usr\/(?:share\/(?:nodejs|java|maven-repo)|lib\/python3\/dist-packages)\//,
  },
  { why: 'package.json of an app itself', isTheirs: true, place: /^\/srv\/app\/package\.json$/ },
  {
    why: "part of Alpine's kernel, listed as linux-virt",
    isTheirs: true,
    place: /^\/(?:lib\/modules\/|boot\/vmlinuz-)/,
    purl: /^generic\//,
  },
  { why: 'version of a DLL; the package has its own', isTheirs: true, place: /\.dll$/, purl: /^nuget\// },
  {
    why: 'project of an app, which we list as `generic`',
    isTheirs: true,
    place: /nbgv\.deps\.json$|^\/$/,
    purl: /^nuget\/(?:nbgv|nerdbank\.gitversioning(?:\.core)?)@/,
  },
  { why: "an app's own project", isTheirs: false, purl: /^generic\/(?:nbgv|Nerdbank\.GitVersioning(?:\.Core)?)@/ },
  { why: 'jar without version, whose group is guessed', isTheirs: true, place: /\.jar$/, purl: /^maven\/[^@]+@$/ },
  { why: 'jar without version, whose group is guessed', isTheirs: false, place: /\.jar$/, purl: /^maven\/[^@]+@$/ },
  {
    why: 'jar that only its file name describes',
    isTheirs: false,
    tool: 'trivy',
    purl: /^maven\/tabula\/tabula@1\.0\.5-jar-with-dependencies$/,
  },
  {
    why: 'shared framework, known by its folder',
    isTheirs: false,
    place: /\/shared\/Microsoft\.NETCore\.App\//,
    purl: /^nuget\/microsoft\.netcore\.app@/,
  },
  {
    why: 'NuGet package that only brings other packages',
    isTheirs: false,
    tool: 'trivy',
    purl: /^nuget\/microsoft\.netcore\.(?:app\.internal|dotnethostpolicy)@/,
  },
  {
    why: 'NuGet package without DLLs',
    isTheirs: false,
    tool: 'syft',
    purl: /^nuget\/libgit2sharp\.nativebinaries@/,
  },
];

/** Why both do not list it. Undefined if nobody knows yet. */
export function reasonOf({ tool, purl, place, isTheirs }: Difference): string | undefined {
  return REASONS.find(
    (each) =>
      each.isTheirs === isTheirs &&
      (each.tool ?? tool) === tool &&
      each.place?.test(place) !== false &&
      each.purl?.test(purl) !== false,
  )?.why;
}

/** How many packages of a type an image has: by its package manager and by each tool. */
export interface Count {
  image: string;
  type: string;
  /** Undefined if no package manager lists them. */
  truth: number | undefined;
  counts: ReadonlyMap<string, number>;
}

/** The tables of the page. Without spaces between the cells, because they would count as words. */
export function tablesOf(counts: readonly Count[], differences: readonly Difference[]): string {
  const [tools, others] = [['acr-promoter', 'syft', 'trivy'], ['syft', 'trivy']]; // prettier-ignore
  const found = counts.map(({ image, type, truth, counts: by }) =>
    [`${image}: ${type}`, truth ?? '', ...tools.map((tool) => by.get(tool) ?? 0)].join('|'),
  );
  const why = (isTheirs: boolean): string[] =>
    [...new Set(REASONS.filter((each) => each.isTheirs === isTheirs).map((each) => each.why))].map((reason) => {
      const of = (tool: string): number =>
        differences.filter((each) => each.isTheirs === isTheirs && each.tool === tool && reasonOf(each) === reason)
          .length;
      return [reason, ...others.map(of)].join('|');
    });
  const table = (header: string[], rows: string[]): string =>
    [header.join('|'), header.map(() => '-').join('|'), ...rows].map((row) => `|${row}|\n`).join('');
  return [
    table(['image: type', 'package manager', ...tools], found),
    table(['Only listed by', ...others], why(true)),
    table(['Not listed by', ...others], why(false)),
  ].join('\n');
}

/** The tables that the page has. */
export function readTables(): string {
  const [, after = ''] = readFileSync(PAGE, 'utf8').split(`${BEGIN}\n\n`);
  return after.split(`\n${END}`)[0] ?? '';
}

export function writeTables(tables: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${PAGE} has no place for tables`);
  writeFileSync(PAGE, `${page.slice(0, before)}${BEGIN}\n\n${tables}\n${page.slice(after)}`);
}
