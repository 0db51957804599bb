import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { readSettings } from './settings.js';

const SLOW_START_MILLISECONDS = 10_000;
const LIFE_BEFORE_CRASH_MILLISECONDS = 3_000;

const settings = readSettings(process.env);
if (settings.break === 'slow') await sleep(SLOW_START_MILLISECONDS);

const app = await NestFactory.create(AppModule.with(settings));
// Exit status 0 after an orderly shutdown; Nest would otherwise end itself by the signal (143), which looks like a failure.
app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
await app.listen(settings.port, '0.0.0.0');
new Logger('main').log(`Version ${settings.version} listens on ${await app.getUrl()}`);

if (settings.break === 'crash') {
  setTimeout(() => {
    throw new Error('BREAK=crash: this version was built to crash.');
  }, LIFE_BEFORE_CRASH_MILLISECONDS);
}
