import { parseArgs } from 'node:util';
import { startIdentity } from './server.js';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string' },
    'data-dir': { type: 'string' },
    'token-seconds': { type: 'string' },
  },
});
const dataDir = values['data-dir'];
if (dataDir === undefined) {
  process.stderr.write('Usage: node dist/local/identity/main.js --data-dir FOLDER [--port N] [--token-seconds N]\n');
  process.exit(2);
}
try {
  const identity = await startIdentity({
    dataDir,
    port: Number(values.port),
    ...(values.host !== undefined && { host: values.host }),
    ...(values['token-seconds'] !== undefined && { tokenSeconds: Number(values['token-seconds']) }),
  });
  const { environment, port, tenantId, clientId, publicKeysFile, logFile } = identity;
  const ready = { ready: true, environment, port, tenantId, clientId, publicKeysFile, logFile, pid: process.pid };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  const stop = (): void => void identity.close().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  process.stderr.write(`local/identity: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
