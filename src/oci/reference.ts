import { quoted } from './credentials-in-text.js';
import { isDigest, parseDigest, type Digest } from './digest.js';
import { InputError } from './errors.js';

/**
 * A reference, `registry[:port]/repository[:tag][@digest]`. If it has both a tag and a digest, the digest is used.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export interface Reference {
  /** Host with optional port, as in a URL: `myregistry.azurecr.io`, `localhost:5100`, `[::1]:5000`. */
  registry: string;
  repository: string;
  tag?: string | undefined;
  digest?: Digest | undefined;
}

const HOST =
  /^(?<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::(?<port>[1-9][0-9]{0,4}))?$/;
/** Matches `user:password@registry`, with or without a scheme. A digest is only expected after the last slash. */
const CREDENTIALS = /^(?:[A-Za-z][\w+.-]*:)?\/\/[^/]*@|^[^/@]*:[^/@]*@(?!sha(?:256|512):)|:[^@]*@.*\//;
const HIGHEST_PORT = 65_535;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Most registries allow at most 255 characters for host and repository together. */
const LONGEST_NAME = 255;

/** True for a valid repository name of at most 255 characters. */
export function isRepository(text: string): boolean {
  return text.length <= LONGEST_NAME && REPOSITORY.test(text);
}

/** True for a valid tag: at most 128 characters. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** True for a registry host with optional port, as in {@link Reference.registry}. */
export function isRegistryHost(text: string): boolean {
  if (text.length > LONGEST_NAME) return false;
  const { name = '', port = '' } = HOST.exec(text)?.groups ?? {};
  return name !== '' && Number(port) <= HIGHEST_PORT && isKeptInUrl(name);
}

/**
 * True if a URL keeps this host name. A URL reads `0x7f.1` as 127.0.0.1 and rejects `1.2.3.4.5`. Only IPv6 addresses
 * may be normalized.
 */
function isKeptInUrl(name: string): boolean {
  const url = `http://${name}`;
  return URL.canParse(url) && (name.startsWith('[') || new URL(url).hostname === name.toLowerCase());
}

/**
 * Parses a reference, with or without tag and digest.
 * @throws InputError `REFERENCE_INVALID`
 */
export function parseReference(text: string): Reference {
  const fail = (why: string): never => {
    throw new InputError('REFERENCE_INVALID', `${quoted(text, 500)} is not a reference: ${why}`, {
      remedy: 'Write it as registry[:port]/repository[:tag][@digest], with the repository in lower case.',
    });
  };
  if (CREDENTIALS.test(text.slice(0, 1025))) {
    throw new InputError(
      'REFERENCE_INVALID',
      'A reference must not contain credentials: remove the text before the @',
      {
        remedy: 'Sign in with "acr-promoter login", or name a credential from the settings.',
      },
    );
  }
  if (text.length > 1024) return fail('it is longer than 1024 characters');
  const slash = text.indexOf('/');
  if (slash < 1) return fail('the registry or the repository is missing');
  const registry = text.slice(0, slash);
  if (!isRegistryHost(registry)) return fail(`${quoted(registry)} is not a registry host`);
  let rest = text.slice(slash + 1);
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const written = rest.slice(at + 1);
    if (!isDigest(written)) return fail(`${quoted(written)} is not a sha256 or sha512 digest`);
    digest = parseDigest(written);
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.indexOf(':');
  if (colon >= 0) {
    tag = rest.slice(colon + 1);
    if (!isTag(tag)) return fail(`${quoted(tag)} is not a tag`);
    rest = rest.slice(0, colon);
  }
  if (!isRepository(rest)) {
    return fail(
      rest.toLowerCase() !== rest && isRepository(rest.toLowerCase())
        ? `the repository ${quoted(rest)} is not in lower case`
        : `${quoted(rest)} is not a repository name`,
    );
  }
  return { registry, repository: rest, tag, digest };
}

/** Formats a reference as `registry/repository[:tag][@digest]`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}
