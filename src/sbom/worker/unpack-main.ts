import { parentPort } from 'node:worker_threads';
import { serveUnpacker } from './unpacker.js';

// The entry of the thread that unpacks layers.
if (parentPort !== null) serveUnpacker(parentPort);
