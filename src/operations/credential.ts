import type { Ports } from '../ports/ports.js';

type DistributionSpec = 'v1.1-referrers-api' | 'v1.1-referrers-tag';

/**
 * The ports of a job: where it names a credential, its registries are signed in to with that one, and where it names a
 * distribution spec, their referrers are kept so. The value stays with the client that needs it.
 * @throws PolicyError `CREDENTIAL_UNKNOWN`
 */
export function portsOfJob<P extends Pick<Ports, 'registries' | 'listing' | 'jobRegistries'>>(
  ports: P,
  job: { credential?: string | undefined; distributionSpec?: DistributionSpec | undefined },
): P {
  const { credential, distributionSpec } = job;
  if (credential === undefined && distributionSpec === undefined) return ports;
  const client = ports.jobRegistries.as({
    ...(credential !== undefined && { credential }),
    ...(distributionSpec !== undefined && { referrers: distributionSpec === 'v1.1-referrers-tag' ? 'tag' : 'api' }),
  });
  return { ...ports, registries: client, listing: client };
}
