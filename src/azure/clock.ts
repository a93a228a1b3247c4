/** The time of this machine. */
export function systemClock(): Date {
  return new Date();
}
