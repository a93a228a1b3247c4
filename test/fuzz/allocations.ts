let bytes = 0;

/** Bytes of all buffers that were asked for since {@link countAllocations}, whether they are still in use or not. */
export function allocatedBytes(): number {
  return bytes;
}

/** Counts what the code of this thread asks for: with `Buffer`, `ArrayBuffer` and the arrays of bytes and numbers. */
export function countAllocations(): void {
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const allocate = Buffer[name].bind(Buffer);
    Buffer[name] = (size: number, ...rest: []) => {
      bytes += size;
      return allocate(size, ...rest);
    };
  }
  const concat = Buffer.concat.bind(Buffer);
  Buffer.concat = (list, length) => {
    const all = concat(list, length);
    bytes += all.length;
    return all;
  };
  for (const name of ['ArrayBuffer', 'Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array', 'Float64Array'] as const)
    Object.defineProperty(globalThis, name, { value: counted(globalThis[name]) });
}

function counted<T extends new (...args: never[]) => object>(type: T): T {
  const width = 'BYTES_PER_ELEMENT' in type ? Number(type.BYTES_PER_ELEMENT) : 1;
  return new Proxy(type, {
    construct(target, args: unknown[], newTarget: new () => object) {
      const [first] = args;
      if (typeof first === 'number') bytes += first * width;
      return Reflect.construct(target, args, newTarget) as object;
    },
  });
}
