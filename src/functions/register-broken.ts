import { registerHealth } from './http/health.js';
import { registerStatus, type AppIdentity, type StatusProblem } from './http/status.js';

/**
 * Registers only `health` and `status`, which report why the app cannot start. Without queue functions, timers and
 * orchestrations, messages and instances stay where they are. Imports nothing that could fail for the same reason.
 */
export function registerBroken(identity: AppIdentity, problems: readonly StatusProblem[]): void {
  registerHealth(problems);
  registerStatus(async () => ({ ok: false, ...identity, problems, warnings: [] }));
}
