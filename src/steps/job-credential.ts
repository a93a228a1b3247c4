import type { Ports } from './ports.js';

/**
 * The ports of a job: where it names a credential, its registries are signed in to with that one. The value stays with the client
 * that needs it.
 * @throws PolicyError `CREDENTIAL_UNKNOWN`
 */
export function portsOfJob<P extends Pick<Ports, 'registries' | 'listing' | 'jobRegistries'>>(
  ports: P,
  { credential }: { credential?: string | undefined },
): P {
  if (credential === undefined) return ports;
  const client = ports.jobRegistries.as(credential);
  return { ...ports, registries: client, listing: client };
}
