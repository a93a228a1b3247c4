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
