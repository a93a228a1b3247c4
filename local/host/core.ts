/**
 * The part of `@azure/functions-core` that this host implements: what `@azure/functions` 4 calls, and what it returns.
 * The types have the form of Microsoft's worker (RpcTypedData and others).
 */
export interface HttpData {
  statusCode?: string;
  headers?: Record<string, string>;
  cookies?: unknown[];
  body?: TypedData | null;
}

export interface HttpRequestData {
  method: string;
  url: string;
  nullableHeaders: Record<string, { value: string }>;
  nullableParams: Record<string, { value: string }>;
  nullableQuery: Record<string, { value: string }>;
  body?: TypedData;
}

export interface TypedData {
  string?: string;
  json?: string;
  bytes?: Uint8Array;
  int?: number;
  double?: number;
  http?: HttpData & Partial<HttpRequestData>;
}

export interface Binding {
  type: string;
  direction: string;
  name?: string;
  [option: string]: unknown;
}

export interface FunctionMetadata {
  name: string;
  bindings: Record<string, Binding>;
  retryOptions?: unknown;
}

export type FunctionCallback = (...args: unknown[]) => unknown;

interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(
    context: unknown,
    result: unknown,
  ): Promise<{ returnValue?: TypedData | null; outputData?: { name: string; data: TypedData }[] }>;
}

interface InvocationRequest {
  invocationId: string;
  inputData: { name: string; data: TypedData }[];
  triggerMetadata: Record<string, TypedData>;
}

export interface ProgrammingModel {
  name: string;
  version: string;
  getInvocationModel(context: {
    invocationId: string;
    request: InvocationRequest;
    metadata: FunctionMetadata;
    state: undefined;
    log: (level: string, category: string, message: string) => void;
  }): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

export type HookCallback = (context: Record<string, unknown>) => unknown;
