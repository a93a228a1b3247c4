/** The end marker of an archive. */
export const END = Buffer.alloc(1024);

interface HeaderFields {
  name?: string;
  type?: string;
  size?: number;
  link?: string;
  magic?: string;
  prefix?: string;
  /** Bytes that overwrite the header at these offsets before its checksum is computed. */
  bytes?: [offset: number, bytes: Buffer][];
}

/** Makes a header block, also one that no archiver would write. */
export function header({
  name = 'x',
  type = '0',
  size = 0,
  link = '',
  magic = 'ustar\x0000',
  prefix = '',
  bytes = [],
}: HeaderFields): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 'utf8');
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')} `, 124);
  block.write(type, 156, 'latin1');
  block.write(link, 157);
  block.write(magic, 257, 'latin1');
  block.write(prefix, 345);
  for (const [offset, written] of bytes) written.copy(block, offset);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function padded(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function file(fields: HeaderFields, content: string | Buffer): Buffer {
  return Buffer.concat([header({ size: Buffer.byteLength(content), ...fields }), padded(content)]);
}

/** Records of a pax header, each with its length. */
export const pax = (...records: string[]): string =>
  records
    .map((record) => {
      let length = record.length + 3;
      while (`${length} ${record}\n`.length !== length) length += 1;
      return `${length} ${record}\n`;
    })
    .join('');
