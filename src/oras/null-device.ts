import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { devNull } from 'node:os';

/** Whether it is the device that is always empty (`/dev/null`), under whatever name: a file without bytes. Others may never end. */
export async function isNullDevice(status: Stats): Promise<boolean> {
  if (!status.isCharacterDevice()) return false;
  const known = await stat(devNull).catch(() => undefined);
  return known?.isCharacterDevice() === true && known.rdev === status.rdev;
}
