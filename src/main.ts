import { PromoterError } from './oci/errors.js';
import { registerBroken } from './functions/register-broken.js';
import type { StatusProblem } from './functions/http/status.js';
import { VERSION } from './version.js';

// The entry point of the app. It must not throw: the host would then have no functions, and only the host's log would
// have the reason. Everything that can fail is loaded with import(), so that `status` can report it.

function toProblem(error: unknown): StatusProblem {
  if (error instanceof PromoterError) {
    const { code, message, remedy } = error;
    return { code, message, remedy };
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

// Not inside the try block: if registration fails halfway, the registered functions must not run.
const register = await compose();
register();
