import { app, type InvocationContext } from '@azure/functions';
import { app as durable } from 'durable-functions';
import type { StaticPorts } from '../../src/functions/activities.js';
import { registerFunctions } from '../../src/functions/register.js';
import { fixedSigner, type SignerSource } from '../../src/signing/index.js';
import type { Ports } from '../../src/ports/ports.js';

type Handler = (input: unknown, context: InvocationContext) => Promise<unknown>;

interface Registration {
  handler: Handler;
  [option: string]: unknown;
}

/** What the app registers, by name: handlers, and the options that they were registered with. */
export interface Registered {
  activities: Map<string, Registration>;
  orchestrations: Map<string, unknown>;
  functions: Map<string, Registration>;
}

let registered: Registered;
const note =
  (into: 'activities' | 'functions') =>
  (name: string, options: Registration): void => {
    registered[into].set(name, options);
  };

// A host that only takes notes.
Object.assign(app, {
  http: note('functions'),
  timer: note('functions'),
  storageQueue: note('functions'),
  eventGrid: note('functions'),
  generic: note('functions'),
});
Object.assign(durable, {
  activity: note('activities'),
  orchestration: (name: string, handler: unknown) => registered.orchestrations.set(name, handler),
});

/** What `work` registers. */
export function registerOnly(work: () => void): Registered {
  registered = { activities: new Map(), orchestrations: new Map(), functions: new Map() };
  work();
  return registered;
}

/** Registers everything that the app is made of, for these ports; with `signing`, that is what signs. */
export function register(ports: Ports, signing?: SignerSource, schedule = '0 */5 * * * *'): Registered {
  return registerOnly(() => registerFunctions(withSigning(ports, signing), () => ports.engine, schedule));
}

/** The same ports, whose signer a test may exchange later. */
function withSigning(ports: Ports, signing?: SignerSource): Ports & Pick<StaticPorts, 'signing'> {
  const get = (): StaticPorts['signing'] => signing ?? (ports.signer && fixedSigner(ports.signer));
  Object.defineProperty(ports, 'signing', { get, enumerable: true, configurable: true });
  return ports as Ports & Pick<StaticPorts, 'signing'>;
}
