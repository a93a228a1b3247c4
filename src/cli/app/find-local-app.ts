import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isRecord } from '../../oci/index.js';

/** Where `npm start` writes the address of its app by default. */
const APP_FILE = join('.local', 'app.json');

/** The address of the app that `npm start` runs in this folder or a parent folder. Undefined if none runs. */
export function localAppUrl(folder: string): string | undefined {
  const noted = readNoted(join(folder, APP_FILE));
  if (noted !== undefined && isAlive(noted.pid)) return noted.url;
  const above = dirname(folder);
  return above === folder ? undefined : localAppUrl(above);
}

function readNoted(path: string): { url: string; pid: number } | undefined {
  try {
    const noted: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isRecord(noted) || typeof noted.url !== 'string' || typeof noted.pid !== 'number') return undefined;
    return { url: noted.url, pid: noted.pid };
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isRecord(error) && error.code === 'EPERM';
  }
}
