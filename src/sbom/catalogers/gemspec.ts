import { LONGEST_NAME } from './cataloger.js';

const MOST_LICENSES = 20;
const MOST_DEPENDENCIES = 1000;
/** Longer lines are descriptions and lists of files. */
const LONGEST_LINE = 64 * 1024;

/** What a gemspec says. Fields that are computed when Ruby runs it are absent. */
export interface Gemspec {
  name?: string;
  version?: string;
  /** Absent for gems that run everywhere. */
  platform?: string;
  licenses: string[];
  dependsOn: string[];
  /** True if RubyGems lists the gem with another name or version than the one that Ruby sees when it runs the file. */
  isContradictory: boolean;
}

/**
 * Reads a gemspec as RubyGems writes it at installation: Ruby code of one assignment a line. The code is not run. The
 * stub line comes first, as in RubyGems, which lists gems by it.
 * @see https://github.com/rubygems/rubygems/blob/v3.6.9/lib/rubygems/specification.rb `to_ruby`
 */
export function parseGemspec(text: string): Gemspec {
  const gemspec: Gemspec = { licenses: [], dependsOn: [], isContradictory: false };
  const said: Partial<Record<string, string>> = {};
  let stub: RegExpExecArray | null = null;
  for (const line of text.split('\n')) {
    if (line.length > LONGEST_LINE) continue;
    stub ??= /^# stub: (\S+) (\S+) (\S+)/.exec(line);
    const assignment = /^\s*\w+\.(name|version|platform|licenses?)\s*=\s*/.exec(line);
    const value = line.slice(assignment?.[0].length);
    if (assignment?.[1]?.startsWith('license') === true) gemspec.licenses = readStrings(value).slice(0, MOST_LICENSES);
    else if (assignment?.[1] !== undefined) {
      const literal = readString(value.replace(/^Gem::(?:Version|Platform)\.new\(\s*/, ''));
      if (isUsable(literal?.text) && END.test(literal.rest)) said[assignment[1]] = literal.text;
    }
    const dependency = /^\s*\w+\.add_(?:runtime_)?dependency\(?\s*/.exec(line);
    const name = dependency === null ? undefined : readString(line.slice(dependency[0].length))?.text;
    if (isUsable(name) && gemspec.dependsOn.length < MOST_DEPENDENCIES) gemspec.dependsOn.push(name);
  }
  const [, name = said['name'], version = said['version'], platform = said['platform']] = stub ?? [];
  if (isUsable(name)) gemspec.name = name;
  if (isUsable(version)) gemspec.version = version;
  if (isUsable(platform) && platform !== 'ruby') gemspec.platform = platform;
  gemspec.isContradictory =
    (said['name'] !== undefined && said['name'] !== name) ||
    (said['version'] !== undefined && said['version'] !== version);
  return gemspec;
}

function isUsable(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value.length <= LONGEST_NAME && !/[\s/]/.test(value);
}

/** Reads a list of strings: `["MIT".freeze, "Ruby".freeze]`, or one string. */
function readStrings(text: string): string[] {
  const strings: string[] = [];
  let rest = text.replace(/^\[\s*/, '');
  for (let read = readString(rest); read !== undefined; read = readString(rest)) {
    if (read.text.length <= LONGEST_NAME) strings.push(read.text);
    rest = read.rest.replace(/^\.freeze/, '').replace(/^\s*,\s*/, '');
    if (strings.length === MOST_LICENSES) break;
  }
  return strings.filter((each) => each !== '');
}

/** What may stand behind a literal that is not computed with. */
const END = /^(?:\.freeze|\s*\))*\s*;?\s*(?:#.*)?$/;
const ESCAPES: Partial<Record<string, string>> = { n: '\n', t: '\t', r: '\r', e: '\x1b', s: ' ', 0: '\0' };

/** Reads a string literal at the start of a text. Undefined if there is none, or one that Ruby would compute. */
function readString(text: string): { text: string; rest: string } | undefined {
  const plain = /^'([^'\\]*)'|^%q<([^<>\\]*)>/.exec(text);
  if (plain !== null) return { text: plain[1] ?? plain[2] ?? '', rest: text.slice(plain[0].length) };
  const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(text);
  if (quoted?.[1] === undefined || /(?:^|[^\\])#[{@$]/.test(quoted[1])) return undefined;
  const unescaped = quoted[1].replaceAll(
    /\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{1,2})|(.))/g,
    (_, ...[long, short, byte, other]: (string | undefined)[]) => {
      const hex = long ?? short ?? byte;
      if (hex === undefined) return ESCAPES[other ?? ''] ?? other ?? '';
      const code = Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : '';
    },
  );
  return { text: unescaped, rest: text.slice(quoted[0].length) };
}
