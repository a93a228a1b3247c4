/** Characters of an identifier in an event or a job. `EVENT_INVALID`, `JOB_INVALID` */
export const ID_CHARS = 1024;
/** A job's id, its own or the message's. */
export const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** A run's id, as rows/run-id.ts makes it: a job that is called so would be taken for another's run where jobs are looked up. */
export const RUN_ID = /^[0-9a-hjkmnp-tv-z]{10}-[0-9a-hjkmnp-tv-z]{16}$/;
