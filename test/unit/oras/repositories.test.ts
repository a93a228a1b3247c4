import { expect, test } from '@jest/globals';
import { listRepositories, type RepositoriesOptions } from 'acr-promoter/oras';

const NAMES = ['a', 'ns', 'ns/one', 'ns/two/x', 'nsx/three', 'z/ns/four'];

async function list(options?: RepositoriesOptions): Promise<{ names: string[]; asked: (string | undefined)[] }> {
  const asked: (string | undefined)[] = [];
  const registry = {
    listRepositories: async function* ({ last }: { last?: string } = {}) {
      asked.push(last);
      yield* NAMES.filter((name) => name > (last ?? ''));
    },
  };
  const names: string[] = [];
  for await (const name of listRepositories(registry, options)) names.push(name);
  return { names, asked };
}

test.each([
  [undefined, NAMES],
  ['ns', ['ns/one', 'ns/two/x']],
  ['ns/two', ['ns/two/x']],
  ['n', []],
  ['ns/one', []],
])('a namespace is whole segments: %s', async (namespace, expected) => {
  expect((await list(namespace === undefined ? {} : { namespace })).names).toEqual(expected);
});

test('the last name is sent to the registry unchanged', async () => {
  expect(await list({ namespace: 'ns', last: 'ns/one' })).toEqual({ names: ['ns/two/x'], asked: ['ns/one'] });
});

test.each(['NS', 'ns/', 'ns:v1', 'a b', '../x'])('%s is no namespace', async (namespace) => {
  await expect(list({ namespace })).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
});
