import { PromoterError } from './oci/errors.js';
import { registerBroken } from './functions/register-broken.js';
import type { StatusProblem } from './functions/http/status.js';
import { VERSION } from './version.js';

// The entry point of the app. It must not throw: the host would then have no function at all, and the reason would be in its log
// alone. What can fail is loaded by import(), so that a package that cannot be loaded is a problem that `status` tells, too.

function toProblem(error: unknown): StatusProblem {
  if (error instanceof PromoterError) {
    const { code, message, remedy } = error;
    return { code, message, ...(remedy !== undefined && { remedy }) };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    code: 'APP_NOT_LOADED',
    message: message.slice(0, 500),
    remedy: 'Deploy the whole package again, on Node 22. If the error stays, report it with the log of the start.',
  };
}

async function compose(): Promise<() => void> {
  try {
    const { composeApp } = await import('./compose.js');
    return await composeApp(process.env);
  } catch (error) {
    const problem = toProblem(error);
    console.error(`${problem.code}: ${problem.message}`);
    return () => registerBroken({ version: VERSION, settings: [] }, [problem]);
  }
}

// Outside of what is caught: functions that are registered in part must not run.
const register = await compose();
register();
