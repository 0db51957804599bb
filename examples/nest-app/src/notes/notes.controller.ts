import { BadRequestException, Body, Controller, Get, Post, ServiceUnavailableException } from '@nestjs/common';
import { MongoError } from 'mongodb';
import { type Note, Notes } from './notes.js';

@Controller('notes')
export class NotesController {
  constructor(private readonly notes: Notes) {}

  @Get()
  latest(): Promise<Note[]> {
    return this.notes.latest().catch(unavailable);
  }

  @Post()
  add(@Body() body?: { text?: unknown }): Promise<Note> {
    if (typeof body?.text !== 'string' || body.text === '') throw new BadRequestException('text is missing.');
    return this.notes.add(body.text).catch(unavailable);
  }
}

function unavailable(error: unknown): never {
  throw error instanceof MongoError ? new ServiceUnavailableException(`MongoDB: ${error.message}`) : error;
}
