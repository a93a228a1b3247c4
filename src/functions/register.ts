import { app as durable } from 'durable-functions';
import { registerActivities, type EngineOf, type StaticPorts } from './activities.js';
import { registerCancelRun } from './http/cancel-run.js';
import { registerHealth } from './http/health.js';
import { registerJobs } from './http/jobs.js';
import { registerPromotions } from './http/promotions.js';
import { registerRunPromotion } from './http/run-promotion.js';
import { registerRuns } from './http/runs.js';
import { promoteDurably, runJobDurably, versioned } from './durable-driver.js';
import { lastTick } from '../schedule/clock.js';
import { registerOnJobMessage } from './triggers/on-job-message.js';
import { registerOnRegistryEventMessage, registerOnRegistryEvent } from './triggers/on-registry-event.js';
import { registerOnSchedule, registerOnScheduleMessage } from './triggers/on-schedule.js';

/**
 * Registers all functions of the app.
 * @param schedule when scans are due: six fields, UTC
 */
export function registerFunctions(ports: StaticPorts, engineOf: EngineOf, schedule: string): void {
  registerActivities(ports, engineOf);
  // Add the previous versions here while instances of them may exist: docs/decisions/orchestration-versions.md. There
  // are none now.
  durable.orchestration('promote', versioned(promoteDurably));
  durable.orchestration('runJob', versioned(runJobDurably));
  registerOnRegistryEvent(ports, engineOf);
  registerOnRegistryEventMessage(ports, engineOf);
  registerOnJobMessage(ports, engineOf);
  registerOnSchedule(ports);
  registerOnScheduleMessage(ports, engineOf, schedule);
  registerHealth([], async () => (await lastTick(ports))?.at);
  registerPromotions(ports);
  registerRuns(ports);
  registerCancelRun(ports, engineOf);
  registerRunPromotion(ports, engineOf);
  registerJobs(ports);
}
