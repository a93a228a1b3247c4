/**
 * The version of the orchestrations that this code starts. It is part of their input. If you change
 * which activities, timers and events an orchestration uses, or their order, increment this and keep the previous
 * version: docs/decisions/orchestration-versions.md.
 */
export const ORCHESTRATION_VERSION = 2;
