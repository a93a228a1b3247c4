export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical' | 'none';

/** Writes one line to standard error: time, level, source, message. Line breaks in the message are escaped. */
export function log(level: LogLevel, source: string, message: string): void {
  const line = `${new Date().toISOString()} ${level} ${source}: ${message.replaceAll(/\r?\n/g, String.raw`\n`)}\n`;
  process.stderr.write(line);
}

/** An error for a log line, with its stack and its cause. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const cause = error.cause === undefined ? '' : `\ncaused by: ${describe(error.cause)}`;
  const code = 'code' in error && typeof error.code === 'string' ? `[${error.code}] ` : '';
  return `${code}${error.stack ?? error.message}${cause}`;
}
