import { parseControlFile } from '../control-file.js';
import { Skips } from '../skips.js';

const FIELDS = new Set(['license', 'files']);
const MOST_LICENSES = 100;

/** Whether a text begins as a machine-readable copyright file does. Others are for people. */
export function isMachineReadable(head: Uint8Array): boolean {
  const text = Buffer.from(head)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  return /^\s*format(?:-specification)?:/i.test(text);
}

/**
 * The licenses of a machine-readable copyright file, in their order: of the header and of its files. Paragraphs with
 * the text of a license count only if there are no others.
 * @see https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
 */
export function readCopyright(bytes: Uint8Array): { licenses: string[]; skips: Skips } {
  const [ofFiles, ofTexts, skips] = [new Set<string>(), new Set<string>(), new Skips()];
  let isHeader = true;
  for (const { fields, isCut } of parseControlFile(bytes, FIELDS)) {
    const license = grouped(fields.get('license') ?? '');
    const licenses = isHeader || fields.has('files') ? ofFiles : ofTexts;
    isHeader = false;
    if (isCut && license === '') skips.add('licences that are too long');
    if (license === '' || licenses.has(license)) continue;
    if (licenses.size < MOST_LICENSES) licenses.add(license);
    else skips.add('licences of one package beyond the limit', 'too-many-licences');
  }
  return { licenses: [...(ofFiles.size > 0 ? ofFiles : ofTexts)], skips };
}

/** A comma binds less than the words: `GPL-2 or MIT, and BSD-3-clause` is `(GPL-2 or MIT) and (BSD-3-clause)`. */
function grouped(license: string): string {
  const groups = license.split(/,\s*(?=(?:and|or)\s)/i);
  if (groups.length === 1) return license;
  return groups.map((group) => group.replace(/^(and\s+|or\s+|)(.*)$/i, '$1($2)')).join(' ');
}
