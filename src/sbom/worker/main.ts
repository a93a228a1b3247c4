import { parentPort } from 'node:worker_threads';
import { serve } from './serve.js';

// The entry of the thread that reads layers: the bytes in them are written by strangers.
if (parentPort !== null) serve(parentPort);
