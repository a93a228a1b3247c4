// Passes TCP on to a port of this machine, each byte half a round trip later, either way. A process of its own, so that its work
// is nobody's that is measured. usage: delay-proxy.child.ts PORT ROUND_TRIP_MS; prints the port that it listens on.
import { connect, createServer, type Socket } from 'node:net';

const [, , port = '', roundTripMs = ''] = process.argv;
const delayMs = Number(roundTripMs) / 2;

/** In order, since timers of one length are. Bytes on their way are not bounded: this is a line, not a queue. */
function pass(from: Socket, to: Socket): void {
  from.on('data', (chunk) => setTimeout(() => !to.destroyed && to.write(chunk), delayMs));
  from.on('end', () => setTimeout(() => to.end(), delayMs));
  from.on('error', () => setTimeout(() => to.destroy(), delayMs));
  from.on('close', () => setTimeout(() => to.destroySoon(), delayMs));
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  // What opening a connection takes: the first byte leaves when the handshake has gone to and fro.
  client.pause();
  setTimeout(() => {
    client.resume();
  }, Number(roundTripMs));
  pass(client, upstream);
  pass(upstream, client);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
