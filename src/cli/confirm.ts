import type { Io } from './io.js';

/** Asks on standard output. Only `y` and `yes` confirm. */
export async function confirm(io: Io, question: string): Promise<boolean> {
  io.out(`${question} [y/N] `);
  const answer = (await io.readLine()) ?? '';
  if (['y', 'yes'].includes(answer.trim().toLowerCase())) return true;
  io.out('Operation cancelled.\n');
  return false;
}
