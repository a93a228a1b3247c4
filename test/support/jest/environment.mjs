// The process that runs the test files. What a file changes in it is put back when the file ends.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { memoryFolder } from './memory-folder.mjs';

const requireJest = createRequire(createRequire(import.meta.url).resolve('jest'));
const { ModernFakeTimers } = requireJest('@jest/fake-timers');
const { ModuleMocker } = requireJest('jest-mock');

/** For unit tests only: the others write more. */
let folder;

export default class SharedProcess {
  global = globalThis;
  moduleMocker = new ModuleMocker(globalThis);
  fakeTimers = null;
  #console = console;
  #exit = Object.getOwnPropertyDescriptor(process, 'exit');
  #exitCode = process.exitCode;
  #folder = process.cwd();
  #env = { ...process.env };
  #isUnit;
  #cache;

  constructor({ projectConfig }) {
    this.#isUnit = projectConfig.displayName.name === 'unit';
    this.#cache = join(projectConfig.cacheDirectory, 'node');
    this.fakeTimersModern = new ModernFakeTimers({ config: projectConfig, global: globalThis });
  }

  exportConditions() {
    return ['node', 'node-addons'];
  }

  getVmContext() {
    return null;
  }

  async setup() {
    if (!this.#isUnit) return;
    folder ??= memoryFolder();
    if (folder !== undefined) process.env.TMPDIR ??= folder;
    // Child processes that run Node start sooner.
    process.env.NODE_COMPILE_CACHE ??= this.#cache;
  }

  async teardown() {
    this.fakeTimersModern.dispose();
    globalThis.console = this.#console;
    // Jest wraps it for each file.
    Object.defineProperty(process, 'exit', this.#exit);
    process.exitCode = this.#exitCode;
    process.chdir(this.#folder);
    for (const name of Object.keys(process.env)) if (!(name in this.#env)) delete process.env[name];
    Object.assign(process.env, this.#env);
  }
}
