import { readEncoded, newUnpacking, type Unpacking } from './encoded-text.js';

/**
 * What a secret looks like, in one place: {@link looksSecret} refuses by it, {@link redactText} leaves out by it. Leaving out is
 * the wider of the two: whatever stands under a name like `password` goes, whereas a document that only speaks of passwords is not
 * refused. Each pattern looks at a character a bounded number of times, so that no text takes longer than its length.
 */

const PASSWORD_NAMES = /(?:password|passwd|pwd|passphrase)$/;
/** Names that hold secrets, without case and punctuation; one that ends so counts. `credential` is a name, and is none. */
const SECRET_NAMES =
  /(?:password|passwd|pwd|passphrase|token|secret|apikey|accesskey|accountkey|sharedkey|privatekey|connectionstring|authorization)$/;

const URL_USERINFO = /:\/\/[^/@\s?#]+@/;
const URL_SECRET = /[?&](?:sig|access_token|token|password|code)=[^&\s"']*/;
const KEY_BLOCK =
  /-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|$)/;
const BEARER = /\bBearer\s+(?:eyJ|(?=[\w.~+/-]*\d)[\w.~+/-]{20})[\w.~+/=-]*/;
/** Of a connection string. */
const ACCOUNT_KEY = /\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^;\s"']+/;
const SIGNATURE = /(?:^|[?&;\s])sig=[\w%+/=-]{16,}/;

/** These are told by their letters: case counts. */
const TOKENS = [
  // A JSON Web Token, signed or encrypted: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
  /(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]{8,}){2}(?:\.[\w-]*){0,2}/,
  // Azure's identifiable keys: the password of a registry's token or admin, the key of a storage account.
  /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{42}\+ACR[A-D][A-Za-z0-9]{5}(?![A-Za-z0-9+/=])/,
  /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{6}==/,
  // A client secret of Entra.
  /(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~-])/,
  // GitHub, GitLab, Docker Hub; npm, PyPI; AWS, Google, Slack.
  /(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt)-[\w-]{20,}|dckr_[op]at_[\w-]{20,})/,
  /(?<![A-Za-z0-9])(?:npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{20,})/,
  /(?<![A-Za-z0-9])(?:A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[\w-]{35}|ya29\.[\w-]{20,}|xox[abeprs]-[\w-]{10,})/,
];
const WORDED = [URL_USERINFO, URL_SECRET, KEY_BLOCK, BEARER, ACCOUNT_KEY, SIGNATURE];
const SHAPES = [
  ...WORDED.map(({ source }) => new RegExp(source, 'gi')),
  ...TOKENS.map(({ source }) => new RegExp(source, 'g')),
];

/** Of a Docker config: user and password, or one of them. */
const DOCKER_AUTH = /"(?:auth|password|identitytoken|registrytoken)"\s*:\s*"[^"(]+"/i;
const DOCKER_AUTHS = /"auths"\s*:/;
/** `user:password@`, and no tag at a digest. Never refused by: `mailto:me@example.com` looks like it. */
const USER_PASSWORD = /(?<![^\s"'/@:,])[^\s"'/@:,]+:[^\s"'/@]{1,200}@(?!sha(?:256|512):)/g;

const BASIC = /\bBasic\s{1,20}(?<value>[A-Za-z0-9+/_-]{4,}={0,2})/gi;
/** Of curl, and of whoever is called like it: `-u user:password`; also as entries of a list. */
const USER_FLAG =
  /(?<![\w-])(?:-u|--user)(?:[\s=]{1,20}|\\{0,3}["']\s{0,20},\s{0,20})\\{0,3}["']?[^\s"':\\]{1,200}:(?<value>[^\s"',\\]{1,200})/g;
/** `-p` is many things: here it comes after a sign-in. */
const LOGIN_FLAG = /(?:\blogin|\s-u|--username)\b[^\n]{0,300}?\s-p[\s=]{1,20}["']?(?<value>[^\s"']{1,200})/g;
/** Of `.netrc`. */
const NETRC =
  /\b(?:machine|login)\s{1,20}[^\s"']{1,200}\s{1,20}(?:login\s{1,20}[^\s"']{1,200}\s{1,20})?password\s{1,20}(?<value>[^\s"'\\]{1,200})/gi;
const FLAGS = [USER_FLAG, LOGIN_FLAG, NETRC];

/** A key as JSON, and what is private in it: https://www.rfc-editor.org/rfc/rfc7518#section-6 */
const JWK = /"kty\\{0,3}"\s{0,20}:\s{0,20}\\{0,3}"(?:EC|RSA|OKP|oct)\b/;
const JWK_PRIVATE = /"(?:d|k|p|q|dp|dq|qi)\\{0,3}"\s{0,20}:\s{0,20}\\{0,3}"(?<value>[\w-]{20,})/g;
/** `<password>…</password>`, of Maven and of NuGet. */
const ELEMENT = /<(?<name>[\w.:-]{1,60})(?:\s[^<>]{0,200})?>\s{0,20}(?<value>[^\s<>][^<>]{0,1000})(?=<)/g;
/** `key="…Password" value="…"`, `{"name": "…PASSWORD", "value": "…"}`, and the same in YAML. */
const NAMED =
  /(?<![\w.-])(?:key|name)\\{0,3}["']?\s{0,20}[=:]\s{0,20}\\{0,3}["']?(?<name>[\w.:-]{1,100})\\{0,3}["']?\s{0,20},?(?:\\[nr]|\s){0,40}\\{0,3}["']?value\\{0,3}["']?\s{0,20}[=:]\s{0,20}\\{0,3}["']?(?<value>[^\s"'\\,{}<>]{1,200})/gi;
/** Base64, in the lines of 64 or 76 that tools make of it too. */
const ENCODED =
  /(?:(?<![\w+/\\-])|(?<=\\[nr]))(?:(?:(?:[A-Za-z0-9+/]{76}(?:\s|\\[nr]){1,20})+|(?:[A-Za-z0-9+/]{64}(?:\s|\\[nr]){1,20})+)[A-Za-z0-9+/]{0,76}|[A-Za-z0-9+/_-]{20,})={0,2}/g;
/** Levels of base64 in base64. */
const MOST_LEVELS = 2;

/** What comes before a value: `"name":`, `name=`, `--name `, `"--name",`, also with escaped quotes. */
const LEAD =
  /(?<![\w.-])(?:--?(?<flag>[A-Za-z][\w-]*)(?:\s{1,20}|\\{0,3}["']\s{0,20},\s{0,20}(?=\\{0,3}["']))|(?<name>[\w.-]+)\\{0,3}["']?\s{0,20}(?<sign>[:=])\s{0,20})/g;
/** All that belongs to a value: to its end or the text's. */
const WHOLE_VALUE =
  /"(?:[^"\\]|\\[\s\S])*\\?"?|'[^']*'?|\\+"(?:[^"\\]|\\[^"])*\\?"?|[[{][^\]}]*[\]}]?|(?:(?:Basic|Bearer)\s{1,20})?[^\s,;&"'{}[\]]+/y;
/** Its first word. */
const FIRST_WORD = /\\{0,3}["']?(?<word>[^\s"'\\,;&{}[\]]{1,200})/y;

/** What stands for a secret, or says where one comes from. */
const PLACEHOLDER =
  /^(?:[$%<{*/.~…]|x{3}|your|change-?me|example|redacted|null$|none$|true$|false$|undefined$|string$|required$|optional$)|[()…]/i;
const VERSION = /^[~^<>=v]*\d+\.\d+/;

export const REDACTED = '(a secret, left out)';

export function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(bareName(name));
}

/** A name that holds what a Docker config or header has under `auth`: user and password, in base64. */
export function isAuthName(name: string): boolean {
  return bareName(name).endsWith('auth');
}

/**
 * True for a text that holds a secret for certain, or so nearly that nobody would send it.
 * @param unpacking bounds what is unpacked of what the text has in base64
 */
export function looksSecret(text: string, unpacking: Unpacking = newUnpacking(), level = 0): boolean {
  if (SHAPES.some((shape) => text.search(shape) >= 0)) return true;
  if (DOCKER_AUTHS.test(text) && DOCKER_AUTH.test(text)) return true;
  if (JWK.test(text) && text.search(JWK_PRIVATE) >= 0) return true;
  if (valuesOf(BASIC, text).some(isUserPassword)) return true;
  if (FLAGS.some((flag) => valuesOf(flag, text).some((value) => isPassword(value)))) return true;
  for (const { groups } of text.matchAll(ELEMENT)) {
    if (isSecretUnder(groups?.name, groups?.value?.trimEnd(), '=')) return true;
  }
  for (const { groups } of text.matchAll(NAMED)) if (isSecretUnder(groups?.name, groups?.value)) return true;
  for (const { name, sign, start } of leadsOf(text)) {
    const word = matchAt(FIRST_WORD, text, start)?.groups?.word ?? '';
    if (isAuthName(name) && isUserPassword(word)) return true;
    if (isSecretUnder(name, word, sign)) return true;
  }
  if (level >= MOST_LEVELS) return false;
  return [...text.matchAll(ENCODED)].some(([run]) => hidesSecret(run, unpacking, level));
}

/** The text with whatever may be a secret replaced, in place. */
export function redactText(text: string, unpacking: Unpacking = newUnpacking()): string {
  const shapes = [...SHAPES, USER_PASSWORD];
  const withoutShapes = shapes.reduce((left, shape) => left.replaceAll(shape, REDACTED), withoutPairs(text));
  const named = [ELEMENT, NAMED].reduce(
    (left, pattern) => withoutValues(pattern, left, (name) => isSecretName(name) || isPassName(name)),
    withoutShapes,
  );
  const flags = [BASIC, ...FLAGS, ...(JWK.test(named) ? [JWK_PRIVATE] : [])];
  const inClear = flags.reduce((left, flag) => withoutValues(flag, left), named);
  const rest = inClear.replaceAll(ENCODED, (run) => (hidesSecret(run, unpacking, 0) ? REDACTED : run));
  // What is refused is never kept, even where what to leave out of it can't be told.
  return looksSecret(rest, unpacking) ? REDACTED : rest;
}

function hidesSecret(base64: string, unpacking: Unpacking, level: number): boolean {
  const text = readEncoded(base64.replaceAll(/\s|\\[nr]/g, ''), unpacking);
  return text !== undefined && looksSecret(text, unpacking, level + 1);
}

/** A member of an object, or what stands behind a name in a text, that holds a secret by both its name and its look. */
export function isSecretUnder(name = '', word = '', sign?: string): boolean {
  if (PASSWORD_NAMES.test(bareName(name))) return isPassword(word, sign === '=');
  if (isPassName(name)) return isPass(name, word, sign);
  return isSecretName(name) && isToken(word);
}

/** What is private of a key as JSON has it. @param kty the key's */
export function isJwkSecret(name: string, kty: unknown): boolean {
  return typeof kty === 'string' && /^(?:EC|RSA|OKP|oct)$/.test(kty) && /^(?:d|k|p|q|dp|dq|qi|oth)$/.test(name);
}

/** True for the base64 of `user:password`. */
export function isUserPassword(base64: string): boolean {
  if (base64.length < 8 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64) || !/[A-Z]/.test(base64)) return false;
  return /^[\x20-\x7e]*:[\x20-\x7e]*$/.test(Buffer.from(base64, 'base64').toString('latin1'));
}

/** A password, and no word about one: with a digit in it, unless it `isAssigned`. */
function isPassword(word: string, isAssigned = false): boolean {
  if (word.length < 4 || /\s/.test(word) || PLACEHOLDER.test(word) || isSecretName(word) || VERSION.test(word))
    return false;
  return isAssigned ? !word.includes('.') : /[A-Za-z]/.test(word) && /\d/.test(word);
}

/** `DB_PASS`, `pass`, and no bypass. */
function isPassName(name: string): boolean {
  return /(?:^|_)(?:pass|pw)$/i.test(name.slice(-200));
}

/** A variable is one; what else is called so (a test that has passed, a pass over the data) must look the more like a password. */
function isPass(name: string, word: string, sign: string | undefined): boolean {
  if (/^[A-Z0-9_]+_(?:PASS|PW)$/.test(name)) return /[A-Za-z]/.test(word) && isPassword(word, sign === '=');
  return word.length >= 8 && /[a-z]/.test(word) && /[A-Z]/.test(word) && isPassword(word);
}

/** Random characters, as nobody writes a name, a version or a digest. */
function isToken(word: string): boolean {
  if (!/^[A-Za-z0-9+/=_~.-]{16,}$/.test(word) || PLACEHOLDER.test(word) || VERSION.test(word)) return false;
  return /\d/.test(word) && (/^[a-z0-9]{32,}$/i.test(word) || (/[a-z]/.test(word) && /[A-Z]/.test(word)));
}

function bareName(name: string): string {
  return name
    .slice(-200)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '');
}

interface Lead {
  name: string;
  sign: string | undefined;
  /** Where the value starts. */
  start: number;
}

/** Every name that a secret may stand under. A value is searched in turn, as far as the caller doesn't take it. */
function* leadsOf(text: string): Generator<Lead, void, number | undefined> {
  const leads = new RegExp(LEAD.source, 'g');
  for (let found = leads.exec(text); found !== null; found = leads.exec(text)) {
    const { name = '', flag = name, sign } = found.groups ?? {};
    if (!isSecretName(flag) && !isAuthName(flag) && !isPassName(flag)) continue;
    leads.lastIndex = (yield { name: flag, sign, start: leads.lastIndex }) ?? leads.lastIndex;
  }
}

function withoutPairs(text: string): string {
  const parts: string[] = [];
  let kept = 0;
  const leads = leadsOf(text);
  for (let lead = leads.next(); lead.done !== true; lead = leads.next(kept)) {
    const { start } = lead.value;
    const value = matchAt(WHOLE_VALUE, text, start)?.[0] ?? '';
    parts.push(text.slice(kept, start), value === '' ? '' : `"${REDACTED}"`);
    kept = start + value.length;
  }
  return [...parts, text.slice(kept)].join('');
}

/** @param isMeant of patterns that find a name as well: whether what stands under it goes */
function withoutValues(pattern: RegExp, text: string, isMeant: (name: string) => boolean = () => true): string {
  return text.replaceAll(pattern, (...found: unknown[]) => {
    const [all] = found;
    const { name = '', value = '' } = found.at(-1) as Record<string, string | undefined>;
    return typeof all === 'string' && isMeant(name) ? all.slice(0, all.length - value.length) + REDACTED : String(all);
  });
}

function valuesOf(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map(({ groups }) => groups?.value ?? '');
}

function matchAt(sticky: RegExp, text: string, at: number): RegExpExecArray | null {
  sticky.lastIndex = at;
  return sticky.exec(text);
}
