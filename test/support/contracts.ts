export * from '../../src/evidence/contracts.js';
export * from '../../src/operations/contracts.js';
export * from '../../src/promotions/contracts.js';
export * from '../../src/transfer/contracts.js';
export type { StepContract } from '../../src/rows/step-contract.js';
