// Runs verbs in the working directory, or imports MODULE, in a process where loading zod is an error. usage: no-zod.child.ts [MODULE]
import { registerHooks } from 'node:module';
import { createMemoryIo } from '../../support/memory-io.js';

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'zod') throw new Error('zod was loaded');
    return next(specifier, context);
  },
});

async function acrPromoter(line: string): Promise<string> {
  const { run } = await import('../../../src/cli/run.js');
  const { io, out, err } = createMemoryIo();
  const code = await run(line.split(' '), io);
  if (code !== 0 || err() !== '') throw new Error(`${line} ended with ${code}: ${err()}`);
  return out().toString();
}

async function runVerbs(): Promise<void> {
  await acrPromoter('push --oci-layout l:v1 hi.txt:text/plain');
  await acrPromoter('attach --oci-layout l:v1 hi.txt --artifact-type a/b');
  await acrPromoter('tag --oci-layout l:v1 v2');
  await acrPromoter('discover --oci-layout l:v1');
  await acrPromoter('repo tags --oci-layout l');
  await acrPromoter('copy -r --from-oci-layout --to-oci-layout l:v1 m:v1');
  await acrPromoter('pull --oci-layout l:v1 -o out');
  await acrPromoter('manifest fetch --oci-layout l:v1 --output m.json');
  await acrPromoter('manifest fetch-config --oci-layout l:v1');
  await acrPromoter('manifest push --oci-layout l:v3 m.json');
  await acrPromoter('manifest index create --oci-layout l:i v1');
  await acrPromoter('manifest index update --oci-layout l:i --add v3');
  const digest = (await acrPromoter('blob push --oci-layout l hi.txt')).match(/sha256:\w+/)?.[0] ?? '';
  await acrPromoter(`blob fetch --oci-layout l@${digest} --output blob`);
  await acrPromoter('resolve --oci-layout l:v1');
  await acrPromoter('manifest delete --oci-layout --force l:v3');
  await acrPromoter(`blob delete --oci-layout --force l@${digest}`);
  await acrPromoter('version');
}

const [, , module] = process.argv;
await (module === undefined ? runVerbs() : import(module));
