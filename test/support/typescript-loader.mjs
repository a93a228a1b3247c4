// Lets Node run the sources as they are: Node strips the types, and this finds `x.ts` for `x.js`, and `acr-promoter/oci` in src.
import { registerHooks } from 'node:module';

const root = new URL('../../', import.meta.url);

registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL;
    if (!from?.endsWith('.ts')) return next(specifier, context);
    const [, file] = /^(\.{1,2}\/.*)\.js$/.exec(specifier) ?? [];
    if (file !== undefined) return next(new URL(`${file}.ts`, from).href, context);
    const [, folder] = /^acr-promoter\/(\w+)$/.exec(specifier) ?? [];
    return next(folder === undefined ? specifier : new URL(`src/${folder}/index.ts`, root).href, context);
  },
});
