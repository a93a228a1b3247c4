// One run over all tags of two repositories, as the schedule makes it: which differ? With `referrers`, also whether the
// destination has and lists all that the source has of each. Fails where anything differs.
// usage: compare-tags.child.ts SOURCE/REPOSITORY DESTINATION/REPOSITORY CA_FILE tags|referrers
import { readFileSync } from 'node:fs';
import {
  anonymousCredentials,
  compareGraphs,
  createRegistries,
  isNothingMissing,
  parseReference,
  type Digest,
  type RegistryRepository,
} from 'acr-promoter/oci';

const [, , from = '', to = '', caFile = '', what = ''] = process.argv;
const client = createRegistries({
  credentials: anonymousCredentials,
  ca: readFileSync(caFile, 'utf8'),
  plainHttp: () => false,
});
const [source, destination] = [from, to]
  .map(parseReference)
  .map(({ registry, repository }) => client.repository(registry, repository));
if (source === undefined || destination === undefined) throw new Error('two repositories are wanted');

async function digestsOf(repository: RegistryRepository): Promise<Map<string, Digest>> {
  const digests = new Map<string, Digest>();
  for await (const { name, digest } of repository.listTagDetails()) digests.set(name, digest);
  return digests;
}

const [wanted, standing] = await Promise.all([digestsOf(source), digestsOf(destination)]);
const differing = [...wanted].filter(([tag, digest]) => standing.get(tag) !== digest);
const digests = new Set(what === 'referrers' ? wanted.values() : []);
const AT_ONCE = 16;
const rest = digests.values();
let lacking = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (const digest of rest) {
      const root = await source.resolve(digest);
      if (!isNothingMissing(await compareGraphs(source, destination, root, { recursive: true }))) lacking += 1;
    }
  }),
);
await client.close();
process.stdout.write(`${wanted.size} tags, ${differing.length} differ, ${lacking} lack something\n`);
process.exit(wanted.size > 0 && differing.length + lacking === 0 ? 0 : 1);
