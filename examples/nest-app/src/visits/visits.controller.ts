import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { type VisitCount, Visits } from './visits.js';

@Controller('visits')
export class VisitsController {
  constructor(private readonly visits: Visits) {}

  @Get()
  async visit(): Promise<VisitCount> {
    try {
      return await this.visits.add();
    } catch (error) {
      throw new ServiceUnavailableException(error instanceof Error ? error.message : String(error));
    }
  }
}
