import { registerHealth } from './http/health.js';
import { registerStatus, type AppIdentity, type StatusProblem } from './http/status.js';

/**
 * Registers `health` and `status`, which say what keeps the app from working, and nothing else: without a queue function, a timer
 * and an orchestration, messages and orchestrations wait where they are. Imports nothing that could fail for the same reason.
 */
export function registerBroken(identity: AppIdentity, problems: readonly StatusProblem[]): void {
  registerHealth(problems);
  registerStatus(async () => ({ ok: false, ...identity, problems, warnings: [] }));
}
