import { LONGEST_NAME } from './cataloger.js';

const MOST_LICENSES = 20;
const MOST_DEPENDENCIES = 1000;
const DEEPEST = 100;
/** Longer values and properties are not resolved. Names in use have 100 characters. */
const LONGEST_VALUE = 300;
/** Scopes that are not part of a running program. */
const ABSENT_SCOPES = new Set(['test', 'provided', 'system', 'import']);

/** What pom.properties or pom.xml says of an artifact. */
export interface Pom {
  group?: string;
  artifact?: string;
  version?: string;
  licenses?: string[];
  /** `group:artifact` of each dependency. */
  dependsOn?: string[];
}

/**
 * Reads the pom.properties that Maven puts into archives.
 * @see https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)
 */
export function parsePomProperties(bytes: Uint8Array): Pom {
  const fields = new Map<string, string>();
  for (const line of Buffer.from(bytes)
    .toString('latin1')
    .split(/\r\n?|\n/)) {
    const match = /^([A-Za-z]+)[\s=:]+/.exec(line.slice(0, 4 * LONGEST_NAME).trim());
    if (match?.[1] !== undefined) fields.set(match[1], unescape(line.trim().slice(match[0].length)));
  }
  return coordinates(fields.get('groupId'), fields.get('artifactId'), fields.get('version'));
}

/** Reads the pom.xml that Maven puts into archives. `${…}` is replaced where this file defines the property. */
export function parsePomXml(text: string): Pom {
  const project = readProject(text);
  const properties = project.properties;
  const { groupId, artifactId, version } = project.own;
  const { groupId: parentGroup, version: parentVersion } = project.parent;
  for (const prefix of ['project.', 'pom.', '']) {
    properties.set(`${prefix}groupId`, groupId ?? parentGroup ?? '');
    properties.set(`${prefix}version`, version ?? parentVersion ?? '');
  }
  properties.set('project.parent.groupId', parentGroup ?? '').set('project.parent.version', parentVersion ?? '');
  const resolve = (value: string | undefined): string | undefined =>
    value
      ?.slice(0, LONGEST_VALUE + 1)
      .replaceAll(/\$\{([^{}]{1,200})\}/g, (whole, name: string) => properties.get(name) ?? whole);
  const dependsOn = project.dependencies
    .map(({ groupId: group, artifactId: artifact }) => coordinates(resolve(group), resolve(artifact), undefined))
    .filter(({ group, artifact }) => group !== undefined && artifact !== undefined)
    .map(({ group = '', artifact = '' }) => `${group}:${artifact}`);
  return {
    ...coordinates(resolve(groupId ?? parentGroup), resolve(artifactId), resolve(version ?? parentVersion)),
    ...(project.licenses.length > 0 && { licenses: project.licenses }),
    ...(dependsOn.length > 0 && { dependsOn: [...new Set(dependsOn)].toSorted() }),
  };
}

/** Leaves out values that are empty, too long or unresolved. */
function coordinates(group?: string, artifact?: string, version?: string): Pom {
  const usable = (value: string | undefined): value is string =>
    value !== undefined && value !== '' && value.length <= LONGEST_VALUE && !/[${}\s]/.test(value);
  return {
    ...(usable(group) && { group }),
    ...(usable(artifact) && { artifact }),
    ...(usable(version) && { version }),
  };
}

function unescape(value: string): string {
  return value.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, other: string) =>
    hex === undefined ? other : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

type Fields = Partial<Record<string, string>>;

interface Project {
  own: Fields;
  parent: Fields;
  properties: Map<string, string>;
  licenses: string[];
  dependencies: Fields[];
}

/**
 * Collects the elements of interest by their place. A closing tag is not compared with its opening tag, because Maven
 * wrote the file.
 */
function readProject(text: string): Project {
  const project: Project = { own: {}, parent: {}, properties: new Map(), licenses: [], dependencies: [] };
  /** The place of each open element: `project/parent`. */
  const places: string[] = [];
  let dependency: Fields = {};
  for (const { tag, value } of readTags(text)) {
    if (tag.startsWith('/')) {
      const place = places.pop() ?? '';
      const parent = places.at(-1);
      const name = parent === undefined ? place : place.slice(parent.length + 1);
      if (parent === 'project') project.own[name] ??= value;
      else if (parent === 'project/parent') project.parent[name] ??= value;
      else if (parent === 'project/properties' && value.length <= LONGEST_VALUE) project.properties.set(name, value);
      else if (parent === 'project/dependencies/dependency') dependency[name] ??= value;
      if (place === 'project/licenses/license/name' && value !== '' && project.licenses.length < MOST_LICENSES) {
        project.licenses.push(value.slice(0, LONGEST_NAME));
      }
      if (place !== 'project/dependencies/dependency') continue;
      const isRun = !ABSENT_SCOPES.has(dependency['scope'] ?? '') && dependency['optional'] !== 'true';
      if (isRun && project.dependencies.length < MOST_DEPENDENCIES) project.dependencies.push(dependency);
      dependency = {};
    } else if (!tag.endsWith('/')) {
      if (places.length === DEEPEST) return project;
      const end = tag.search(/\s/);
      const name = end < 0 ? tag : tag.slice(0, end);
      const parent = places.at(-1);
      places.push(parent === undefined ? name : `${parent}/${name}`);
    }
  }
  return project;
}

/** Comments, character data, instructions and declarations: how they start and end. */
const NO_TAGS = [
  ['<!--', '-->'],
  ['<![CDATA[', ']]>'],
  ['<?', '?>'],
  ['<!', '>'],
] as const;

/** Yields the tags of XML, each with the text before it. Skips comments, declarations and instructions. */
function* readTags(text: string): Generator<{ tag: string; value: string }> {
  let before = '';
  for (let at = 0; at < text.length;) {
    const open = text.indexOf('<', at);
    if (open < 0) return;
    before += text.slice(at, open);
    const skipped = NO_TAGS.find(([start]) => text.startsWith(start, open));
    const end = text.indexOf(skipped?.[1] ?? '>', open);
    if (end < 0) return;
    if (skipped === undefined) {
      yield { tag: text.slice(open + 1, end), value: decode(before.trim()) };
      before = '';
    } else if (skipped[0] === '<![CDATA[') before += text.slice(open + skipped[0].length, end);
    at = end + (skipped?.[1].length ?? 1);
  }
}

const ENTITIES: Partial<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
