/**
 * SPDX ids of the license classifiers that mean exactly one license. Others ("BSD License") stay names.
 * @see https://pypi.org/classifiers/
 */
const SPDX_IDS = new Map([
  ['Academic Free License (AFL)', 'AFL-3.0'],
  ['Apache Software License', 'Apache-2.0'],
  ['Boost Software License 1.0 (BSL-1.0)', 'BSL-1.0'],
  ['CC0 1.0 Universal (CC0 1.0) Public Domain Dedication', 'CC0-1.0'],
  ['European Union Public Licence 1.2 (EUPL 1.2)', 'EUPL-1.2'],
  ['GNU Affero General Public License v3', 'AGPL-3.0-only'],
  ['GNU Affero General Public License v3 or later (AGPLv3+)', 'AGPL-3.0-or-later'],
  ['GNU General Public License v2 (GPLv2)', 'GPL-2.0-only'],
  ['GNU General Public License v2 or later (GPLv2+)', 'GPL-2.0-or-later'],
  ['GNU General Public License v3 (GPLv3)', 'GPL-3.0-only'],
  ['GNU General Public License v3 or later (GPLv3+)', 'GPL-3.0-or-later'],
  ['GNU Lesser General Public License v2 or later (LGPLv2+)', 'LGPL-2.0-or-later'],
  ['GNU Lesser General Public License v3 (LGPLv3)', 'LGPL-3.0-only'],
  ['GNU Lesser General Public License v3 or later (LGPLv3+)', 'LGPL-3.0-or-later'],
  ['ISC License (ISCL)', 'ISC'],
  ['MIT License', 'MIT'],
  ['MIT No Attribution License (MIT-0)', 'MIT-0'],
  ['Mozilla Public License 1.1 (MPL 1.1)', 'MPL-1.1'],
  ['Mozilla Public License 2.0 (MPL 2.0)', 'MPL-2.0'],
  ['Python Software Foundation License', 'PSF-2.0'],
  ['The Unlicense (Unlicense)', 'Unlicense'],
  ['Universal Permissive License (UPL)', 'UPL-1.0'],
  ['zlib/libpng License', 'Zlib'],
  ['Zope Public License', 'ZPL-2.1'],
]);
const MOST = 20;

/** The licenses that classifiers name: SPDX ids where all of them have one, and the names of all. */
export function licensesOfClassifiers(classifiers: readonly string[]): { ids: string[]; names: string[] } {
  const names = new Set<string>();
  for (const classifier of classifiers) {
    const parts = classifier.split(' :: ').map((part) => part.trim());
    const name = parts.at(-1) ?? '';
    if (parts[0] !== 'License' || parts.length < 2 || name === 'OSI Approved' || name.length > 200) continue;
    if (names.size < MOST) names.add(name);
  }
  const ids = [...names].map((name) => SPDX_IDS.get(name)).filter((id) => id !== undefined);
  return { ids: ids.length === names.size ? ids : [], names: [...names] };
}
