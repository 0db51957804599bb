import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { MongoClient } from 'mongodb';
import { once } from '../once.js';
import { SETTINGS, type Settings } from '../settings.js';

const PATIENCE_MILLISECONDS = 2_000;
const SHOWN = 20;

export interface Note {
  readonly text: string;
  readonly at: Date;
}

/** Exists only where MONGO_URL is set. */
@Injectable()
export class Notes implements OnApplicationShutdown {
  private readonly client: MongoClient;
  private readonly connected: () => Promise<MongoClient>;

  constructor(@Inject(SETTINGS) settings: Settings) {
    this.client = new MongoClient(settings.mongoUrl as string, { serverSelectionTimeoutMS: PATIENCE_MILLISECONDS });
    // Left to itself, the client never connects any more once its first try has failed.
    this.connected = once(() => this.client.connect());
  }

  async latest(): Promise<Note[]> {
    const newestFirst = (await this.collection()).find({}, { projection: { _id: 0 } }).sort({ at: -1 });
    return newestFirst.limit(SHOWN).toArray();
  }

  async add(text: string): Promise<Note> {
    const note = { text, at: new Date() };
    await (await this.collection()).insertOne({ ...note });
    return note;
  }

  onApplicationShutdown(): Promise<void> {
    return this.client.close();
  }

  private async collection() {
    return (await this.connected()).db().collection<Note>('notes');
  }
}
