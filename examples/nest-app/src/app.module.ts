import { type DynamicModule, Module } from '@nestjs/common';
import { Connections } from './connections.js';
import { HealthController } from './health.controller.js';
import { NotesController } from './notes/notes.controller.js';
import { Notes } from './notes/notes.js';
import { SETTINGS, type Settings } from './settings.js';
import { VersionController } from './version.controller.js';
import { VisitsController } from './visits/visits.controller.js';
import { Visits } from './visits/visits.js';

@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    const mongo = settings.mongoUrl !== undefined;
    return {
      module: AppModule,
      controllers: [HealthController, VersionController, VisitsController, ...(mongo ? [NotesController] : [])],
      providers: [{ provide: SETTINGS, useValue: settings }, Connections, Visits, ...(mongo ? [Notes] : [])],
    };
  }
}
