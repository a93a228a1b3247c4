/** Bounds of the local host. What a client or an app sends beyond them is refused, never cut. */

/** Bytes of a request to an HTTP function; the real host has 210 MB. */
export const HTTP_BODY_BYTES = 100 * 1024 * 1024;
/** Bytes of one delivery of Event Grid, a batch included. */
export const EVENT_GRID_BODY_BYTES = 1024 * 1024 + 64 * 1024;
/** Bytes of an orchestration's input or an event's data over HTTP. */
export const DURABLE_BODY_BYTES = 16 * 1024 * 1024;
/** Characters of a custom status as JSON, as the real engine has it. */
export const CUSTOM_STATUS_CHARS = 16 * 1024;
/** Characters of an instance id, as the real engine has it. */
export const INSTANCE_ID_CHARS = 100;
/** Instances on one page of the status query. */
export const STATUS_PAGE = 100;
/** Turns taken at once; each instance has one at a time. */
export const TURNS_AT_ONCE = 10;
/** Timer functions running at once. */
export const SCHEDULED_AT_ONCE = 5;
/** Times that a turn may break inside the host itself before its instance is failed. */
export const TURN_TRIES = 20;
