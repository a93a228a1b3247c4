import type { RateLimits } from './rate-limit.js';

/** Hosts of which is remembered what they reported of their limits. */
const MOST_REPORTED_HOSTS = 1000;

/** ACR: calls a second that are left, `166.666667`. */
const ACR_LEFT = 'x-ms-ratelimit-remaining-calls-per-second';
/** Docker Hub and others: calls that are left in a window of so many seconds, `76;w=21600`. */
const LEFT = 'ratelimit-remaining';

function perMinuteOf(headers: Readonly<Record<string, string>>): number | undefined {
  const perSecond = Number(headers[ACR_LEFT] ?? Number.NaN);
  if (Number.isFinite(perSecond)) return Math.max(perSecond * 60, 0);
  const { count, seconds } = /^(?<count>\d{1,9})(?:;w=(?<seconds>\d{1,6}))?$/.exec(headers[LEFT] ?? '')?.groups ?? {};
  if (count === undefined) return undefined;
  return (Number(count) * 60) / Math.max(Number(seconds ?? 60), 1);
}

/** What registries say of themselves, by host. */
export class ReportedRates {
  readonly #hosts = new Map<string, number>();

  note(host: string, headers: Readonly<Record<string, string>>): void {
    const perMinute = perMinuteOf(headers);
    if (perMinute === undefined || (this.#hosts.size >= MOST_REPORTED_HOSTS && !this.#hosts.has(host))) return;
    this.#hosts.set(host, perMinute);
  }

  /** The least of what was reported last and what is known. */
  perMinute(host: string, known: RateLimits): number | undefined {
    const told = [this.#hosts.get(host), known.referrers, known.read].filter((rate) => rate !== undefined);
    return told.length === 0 ? undefined : Math.min(...told);
  }
}
