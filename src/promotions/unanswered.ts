import { PromoterError, TransportError, parseReference } from '../oci/index.js';
import type { RunRow } from '../rows/run-row.js';
import { summaryOfRun } from '../rows/lists.js';
import { causesOf } from './backoff.js';

/** Names of errors for people. */
const WORDS: Readonly<Record<string, string>> = {
  TIMEOUT: 'timeout',
  CONNECT_FAILED: 'no connection',
  CONNECTION_CLOSED: 'connection closed',
  STALLED: 'stalled',
};

/** A host that does not answer. */
export interface Unanswered {
  /** `host:port`, as in references. */
  host: string;
  /** The role of the host in the run. Undefined if it has no role or both. */
  role?: 'source' | 'destination' | undefined;
  /** `timeout`, `no connection: ECONNREFUSED`. */
  what: string;
}

/**
 * Since when the host does not answer, the number of tries, and the approximate time of the next one. Times are RFC
 * 3339.
 */
export interface UnansweredTries {
  since: string;
  tries: number;
  nextAt: string;
}

/** The host that did not answer, according to a step's error. Undefined for any other error. */
export function unansweredOf(error: unknown, run: RunRow | undefined): Unanswered | undefined {
  const cause = [...causesOf(error)].find((each) => each instanceof TransportError && each.code in WORDS);
  const url = cause?.details.url;
  if (cause === undefined || typeof url !== 'string' || !URL.canParse(url)) return undefined;
  const { host } = new URL(url);
  return { host, role: run && roleOf(host, run), what: whatOf(cause) };
}

function whatOf({ code, details: { causes } }: PromoterError): string {
  const word = WORDS[code] ?? code;
  const reason: unknown = Array.isArray(causes) ? causes.find((each) => /^E[A-Z]+$/.test(String(each))) : undefined;
  return code === 'CONNECT_FAILED' && typeof reason === 'string' ? `${word}: ${reason}` : word;
}

function roleOf(host: string, run: RunRow): Unanswered['role'] {
  const { source, destination } = summaryOfRun(run);
  const isSource = source?.registry === host;
  const isDestination = destination !== undefined && registryIn(destination) === host;
  if (isSource === isDestination) return undefined;
  return isSource ? 'source' : 'destination';
}

function registryIn(reference: string): string | undefined {
  try {
    return parseReference(reference).registry;
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    return undefined;
  }
}

/** `destination b.azurecr.io not answering since 12:03 (timeout, 3 tries, next 12:09)`; times are UTC. */
export function unansweredText({ host, role, what }: Unanswered, { since, tries, nextAt }: UnansweredTries): string {
  const who = role === undefined ? host : `${role} ${host}`;
  const times = tries === 1 ? '1 try' : `${tries} tries`;
  return `${who} not answering since ${timeText(since, nextAt)} (${what}, ${times}, next ${timeText(nextAt, nextAt)})`;
}

/** The time as hours and minutes; with its day if `reference` has another day. */
function timeText(at: string, reference: string): string {
  const isSameDay = at.slice(0, 10) === reference.slice(0, 10);
  return isSameDay ? at.slice(11, 16) : `${at.slice(0, 10)} ${at.slice(11, 16)}`;
}
