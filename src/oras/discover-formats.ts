import type { Descriptor } from '../oci/index.js';
import type { ReferrerTree } from './discover.js';
import { formatGoJson } from './go-json.js';
import { sortedByKey } from './index-json.js';
import { formatYamlEntry, formatYamlScalar } from './yaml-scalar.js';

/** A referrer, or the root, as `oras discover --format json` has it. */
export interface DiscoverJson {
  reference: string;
  mediaType: string;
  digest: string;
  /** In bytes. */
  size: number;
  annotations?: Record<string, string>;
  artifactType?: string;
  referrers: DiscoverJson[];
}

/** The styles of the tree's parts on a terminal. */
interface Paint {
  digest: (text: string) => string;
  type: (text: string) => string;
  annotations: (text: string) => string;
}

const painted =
  (code: number) =>
  (text: string): string =>
    `\u001b[${code}m${text}\u001b[0m`;
/** Green, bright yellow and grey, as in oras. */
const COLORS: Paint = { digest: painted(32), type: painted(93), annotations: painted(90) };
const asItIs = (text: string): string => text;
const PLAIN: Paint = { digest: asItIs, type: asItIs, annotations: asItIs };

/** A branch of the printed tree: a line of text and the branches below it. */
interface Branch {
  text: string;
  below: Branch[];
}

/** Annotations first, then the referrers by their types, in the order in which a type was first listed. */
function below(tree: ReferrerTree, isRoot: boolean, paint: Paint): Branch[] {
  const branches: Branch[] = [];
  const annotations = isRoot ? [] : Object.entries(sortedByKey(tree.descriptor.annotations ?? {}));
  if (annotations.length > 0) {
    const lines = annotations.map(([key, value]) => ({ text: formatYamlEntry(key, value), below: [] }));
    branches.push({ text: paint.annotations('[annotations]'), below: lines });
  }
  const byType = new Map<string, Branch>();
  for (const referrer of tree.referrers) {
    const type = referrer.descriptor.artifactType ?? '';
    const branch = byType.get(type) ?? { text: paint.type(type === '' ? '<unknown>' : onOneLine(type)), below: [] };
    branch.below.push({ text: paint.digest(referrer.descriptor.digest), below: below(referrer, false, paint) });
    byType.set(type, branch);
  }
  return [...branches, ...byType.values()];
}

/** A type comes from a registry: control characters are escaped. */
function onOneLine(text: string): string {
  return /^[\u0020-\u007e]*$/.test(text) ? text : formatYamlScalar(text);
}

function draw(branches: readonly Branch[], indent: string): string[] {
  return branches.flatMap(({ text, below: children }, index) => {
    const isLast = index === branches.length - 1;
    return [`${indent}${isLast ? '└── ' : '├── '}${text}`, ...draw(children, `${indent}${isLast ? '    ' : '│   '}`)];
  });
}

/** The tree as `oras discover` prints it, without a final newline; annotations are sorted. @param options.colors for a terminal */
export function formatTree(tree: ReferrerTree, { colors = false } = {}): string {
  const paint = colors ? COLORS : PLAIN;
  return [paint.digest(tree.reference), ...draw(below(tree, true, paint), '')].join('\n');
}

/** A descriptor in the JSON of a verb, with its reference first. Empty annotations and types are left out. */
export function describeNode(reference: string, descriptor: Descriptor): Omit<DiscoverJson, 'referrers'> {
  const { mediaType, digest, size, annotations = {}, artifactType } = descriptor;
  return {
    reference,
    mediaType,
    digest,
    size,
    ...(Object.keys(annotations).length > 0 && { annotations: sortedByKey(annotations) }),
    ...(artifactType !== undefined && artifactType !== '' && { artifactType }),
  };
}

function describe({ reference, descriptor }: ReferrerTree): Omit<DiscoverJson, 'referrers'> {
  return describeNode(reference, descriptor);
}

/** The tree as `oras discover --format json` has it: empty annotations and types left out, no referrers as `[]`. */
export function toDiscoverJson(tree: ReferrerTree): DiscoverJson {
  return { ...describe(tree), referrers: tree.referrers.map(toDiscoverJson) };
}

/** The form of `oras discover -o json` before 1.3, for scripts of that time: direct referrers as `manifests`. */
export function toManifestsJson(tree: ReferrerTree): { manifests: Omit<DiscoverJson, 'referrers'>[] } {
  return { manifests: tree.referrers.map(describe) };
}

/** The deprecated table of `oras discover --format table`, without a final newline. @param asked the reference as it was given */
export function formatTable(tree: ReferrerTree, asked: string): string {
  const referrers = tree.referrers.map(describe);
  const head = 'Artifact Type';
  const width = Math.max(head.length, ...referrers.map(({ artifactType }) => (artifactType ?? '').length)) + 3;
  const rows = referrers.flatMap((referrer) => {
    const { reference: _, ...json } = referrer;
    return [`${onOneLine(json.artifactType ?? '').padEnd(width)}${json.digest}`, formatGoJson(json, 2)];
  });
  const count = `Discovered ${referrers.length} ${referrers.length === 1 ? 'artifact' : 'artifacts'} referencing ${asked}`;
  const top = [count, `Digest: ${tree.descriptor.digest}`];
  return referrers.length === 0 ? top.join('\n') : [...top, '', `${head.padEnd(width)}Digest`, ...rows].join('\n');
}
