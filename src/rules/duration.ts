const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000 } as const;

/** Parses `90s`, `10m`, `24h` or `7d` into milliseconds; undefined if the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const { count = '', unit = '' } = /^(?<count>[1-9]\d{0,5})(?<unit>[smhd])$/.exec(text)?.groups ?? {};
  const unitMs = Object.entries(UNITS).find(([name]) => name === unit)?.[1];
  return unitMs === undefined ? undefined : Number(count) * unitMs;
}

/** Formats a duration for people, in its two largest units: `1 h 5 min`, `40 s`; below a second in milliseconds: `120 ms`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 600) return join([Math.floor(seconds / 60), 'min'], [seconds % 60, 's']);
  if (minutes < 60) return `${minutes} min`;
  return join([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min']);
}

function join(...parts: readonly (readonly [number, string])[]): string {
  return parts.flatMap(([count, unit]) => (count === 0 ? [] : [`${count} ${unit}`])).join(' ');
}
