import type { Ports } from '../ports/ports.js';

type DistributionSpec = 'v1.1-referrers-api' | 'v1.1-referrers-tag';

/**
 * The ports of a job. If it names a credential, its registries are accessed with it; if it names a distribution spec, referrers are
 * stored in that way. Only the registry client reads the secret.
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
