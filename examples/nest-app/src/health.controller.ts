import { Controller, Get, Inject, InternalServerErrorException } from '@nestjs/common';
import { SETTINGS, type Settings } from './settings.js';

/**
 * For the load balancer. It asks nothing of the databases on purpose: if it did, a database that is away for a moment
 * would take every instance out of service at once.
 */
@Controller('health')
export class HealthController {
  constructor(@Inject(SETTINGS) private readonly settings: Settings) {}

  @Get()
  health() {
    if (this.settings.break === 'health') {
      throw new InternalServerErrorException('BREAK=health: this version was built to be unhealthy.');
    }
    return { status: 'ok' };
  }
}
