/** The tool that an SBOM names. A new version may find more, so its documents may differ. */
export const TOOL = { name: 'acr-promoter', version: '0.1.0' } as const;
