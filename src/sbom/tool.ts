/** What an SBOM names as its maker. A new version may find more, and then gives other bytes. */
export const TOOL = { name: 'acr-promoter', version: '0.1.0' } as const;
