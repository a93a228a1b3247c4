import { app as durable } from 'durable-functions';
import { registerActivities, type EngineOf, type StaticPorts } from './activities.js';
import { registerCancelRun } from './http/cancel-run.js';
import { registerHealth } from './http/health.js';
import { registerJobs } from './http/jobs.js';
import { registerPromotions } from './http/promotions.js';
import { registerRunPromotion } from './http/run-promotion.js';
import { registerRuns } from './http/runs.js';
import { attachImages } from './orchestrations/attach.js';
import { copyParts } from './orchestrations/copy-graph.js';
import { promoteScheduled } from './orchestrations/promote-scheduled.js';
import { promote } from './orchestrations/promote.js';
import { runJob } from './orchestrations/run-job.js';
import { versioned } from './orchestrations/versioned.js';
import { walkOn } from './orchestrations/walk-on.js';
import { registerOnJobMessage } from './triggers/on-job-message.js';
import { registerOnRegistryEventMessage } from './triggers/on-registry-event-message.js';
import { registerOnRegistryEvent } from './triggers/on-registry-event.js';
import { registerOnSchedule } from './triggers/on-schedule.js';

/** Registers everything that the app is made of. @param schedule six fields, UTC */
export function registerFunctions(ports: StaticPorts, engineOf: EngineOf, schedule: string): void {
  registerActivities({ ports, engineOf });
  // Former versions that can have instances still: docs/decisions/orchestration-versions.md. There are none.
  durable.orchestration('promote', versioned(promote));
  durable.orchestration('runJob', versioned(runJob));
  durable.orchestration('attachImages', versioned(attachImages));
  durable.orchestration('copyParts', versioned(copyParts));
  durable.orchestration('walkOn', versioned(walkOn));
  durable.orchestration('promoteScheduled', versioned(promoteScheduled));
  registerOnRegistryEvent(ports, engineOf);
  registerOnRegistryEventMessage(ports, engineOf);
  registerOnJobMessage(ports, engineOf);
  registerOnSchedule(ports, engineOf, schedule);
  registerHealth();
  registerPromotions(ports);
  registerRuns(ports);
  registerCancelRun(ports, engineOf);
  registerRunPromotion(ports, engineOf);
  registerJobs(ports);
}
