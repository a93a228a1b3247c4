/**
 * The version of the orchestrations that this code starts; part of their input, 1 where it isn't there. Whoever changes which
 * activities, timers, events and sub-orchestrations one of them asks for, or in which order, raises it and keeps the one before:
 * docs/decisions/orchestration-versions.md.
 */
export const ORCHESTRATION_VERSION = 1;
