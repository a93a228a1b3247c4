import { ByteScanner } from './byte-scanner.js';
import type { Cataloger, Reading } from './cataloger.js';
import { GoBuildInfo } from './go-build-info.js';
import { KnownPrograms } from './known-programs.js';
import { RustAudit } from './rust-audit.js';

/** First bytes of ELF, PE and Mach-O files: the last in both byte orders, for 32 and 64 bits, and for several processors. */
const EXECUTABLE = /^(?:\x7fELF|MZ|[\xce\xcf]\xfa\xed\xfe|\xfe\xed\xfa[\xce\xcf]|\xca\xfe\xba[\xbe\xbf]\0)/;
/** Smaller files are passed over: the smallest program that this cataloger knows has 300 KiB. */
const LEAST_BYTES = 64 * 1024;

/**
 * Reads programs that name what they contain: Go programs (modules and standard library), Rust programs built with
 * `cargo auditable`, and runtimes that images have without a package (node, python, busybox). Each is read once, for all
 * of them.
 */
export const binariesCataloger: Cataloger = {
  name: 'binaries',
  kind: 'binary',
  maxBytes: Infinity,
  wants: () => false,
  recognizes: (head, size) =>
    size >= LEAST_BYTES &&
    EXECUTABLE.test(Buffer.from(head.buffer, head.byteOffset, head.length).toString('latin1', 0, 5)),
  async read(file): Promise<Reading> {
    const go = new GoBuildInfo(() => scanner);
    const parts = [go, new RustAudit(file.size), new KnownPrograms()];
    const scanner = new ByteScanner(parts.flatMap(({ finders }) => finders));
    go.start();
    await scanner.scan(file.chunks());
    const readings = parts.map((part) => part.result()).filter((reading) => reading !== undefined);
    const packages = readings.flatMap((reading) => reading.packages ?? []);
    const gaps = readings.flatMap((reading) => reading.gaps ?? []);
    return { ...(packages.length > 0 && { packages }), ...(gaps.length > 0 && { gaps }) };
  },
};
