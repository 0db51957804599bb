import { Controller, Get, Inject } from '@nestjs/common';
import { SETTINGS, type Settings } from './settings.js';

@Controller('version')
export class VersionController {
  constructor(@Inject(SETTINGS) private readonly settings: Settings) {}

  @Get()
  show() {
    const { version, commit = null, release = null, slot = null } = this.settings;
    return { version, commit, release, slot };
  }
}
