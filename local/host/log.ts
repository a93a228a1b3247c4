export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical' | 'none';

/** One line on standard error: time, level, who, what; line breaks inside are written as `\n`. */
export function log(level: LogLevel, source: string, message: string): void {
  const line = `${new Date().toISOString()} ${level} ${source}: ${message.replaceAll(/\r?\n/g, String.raw`\n`)}\n`;
  process.stderr.write(line);
}

/** An error with its stack, and its cause where it has one, for a log line. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const cause = error.cause === undefined ? '' : `\ncaused by: ${describe(error.cause)}`;
  const code = 'code' in error && typeof error.code === 'string' ? `[${error.code}] ` : '';
  return `${code}${error.stack ?? error.message}${cause}`;
}
