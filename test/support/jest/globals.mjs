// What '@jest/globals' exports: test files share modules, and `test` or `jest` in one of them belongs to the file that runs.
const current = (name) => globalThis[Symbol.for('acr-promoter.jest')][name];
const global = (name) =>
  new Proxy(() => {}, {
    get: (_, property) => current(name)[property],
    apply: (_, self, values) => current(name)(...values),
  });

export const afterAll = global('afterAll');
export const afterEach = global('afterEach');
export const beforeAll = global('beforeAll');
export const beforeEach = global('beforeEach');
export const describe = global('describe');
export const expect = global('expect');
export const jest = global('jest');
export const test = global('test');
