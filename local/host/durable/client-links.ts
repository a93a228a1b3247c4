/** The URLs in a durable client's binding and in the response of a start request. */
export interface ClientLinks {
  /** The links of one instance, including its `id`. */
  forInstance(id: string): Record<string, string>;
  /** JSON of the input binding `durableClient`, as durable-functions 3.5 expects it. */
  binding: string;
}

/** @param keyQuery `code=…` if keys are required, otherwise empty */
export function createClientLinks(port: number, hubName: string, keyQuery: string): ClientLinks {
  const base = `http://localhost:${port}/runtime/webhooks/durabletask`;
  const required = ['connection=Storage', keyQuery].filter(Boolean).join('&');
  const query = `taskHub=${encodeURIComponent(hubName)}&${required}`;
  const management = (id: string) => {
    const instance = `${base}/instances/${id}`;
    return {
      id,
      statusQueryGetUri: `${instance}?${query}`,
      sendEventPostUri: `${instance}/raiseEvent/{eventName}?${query}`,
      terminatePostUri: `${instance}/terminate?reason={text}&${query}`,
      rewindPostUri: `${instance}/rewind?reason={text}&${query}`,
      purgeHistoryDeleteUri: `${instance}?${query}`,
      restartPostUri: `${instance}/restart?${query}`,
      suspendPostUri: `${instance}/suspend?reason={text}&${query}`,
      resumePostUri: `${instance}/resume?reason={text}&${query}`,
    };
  };
  const binding = JSON.stringify({
    taskHubName: hubName,
    creationUrls: {
      createNewInstancePostUri: `${base}/orchestrators/{functionName}[/{instanceId}]?${required}`,
      createAndWaitOnNewInstancePostUri: `${base}/orchestrators/{functionName}[/{instanceId}]?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&${required}`,
    },
    managementUrls: management('INSTANCEID'),
    baseUrl: base,
    requiredQueryStringParameters: required,
    // The library's internal endpoint. It requires no key, as in the real host.
    rpcBaseUrl: `http://127.0.0.1:${port}/durabletask/`,
  });
  return { forInstance: management, binding };
}
