/** The most characters of an identifier in an event or a job. `EVENT_INVALID`, `JOB_INVALID` */
export const ID_CHARS = 1024;
/** A job's id: the one in the job, or the id of its message. */
export const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/**
 * The form of a generated run id (rows/open-run.ts). A job may not use it, or a lookup could confuse the job with another
 * run.
 */
export const RUN_ID = /^[0-9a-v]{10}-[0-9a-v]{16}$/;
