/** Datagrams on their way from the system to whom they are for: so many a turn of the event loop, in their order. */
import { BATCH, NAME_BYTES_MAX } from './batch-arena.ts';
import type { Arena, ReadName } from './batch-arena.ts';
import { createBacklog } from './batch-backlog.ts';
import { rethrow } from './dgram.ts';
import type { Address } from './model.ts';
import type { ComingHandler, DatagramHandler } from './ports.ts';

/** Timers and other sockets wait no longer than the handler takes for so many batches. What else has come is kept. */
const BATCHES_A_TURN = 8;

export interface IncomingOptions {
  readonly arena: Arena;
  readonly readName: ReadName;
  readonly onDatagram: DatagramHandler;
  readonly onComing: ComingHandler | undefined;
  /** Receives a batch into the arena; the number of datagrams, or negative. */
  readonly receive: (headers: Uint8Array) => number;
  /** Sends what waits. */
  readonly flush: () => void;
}

export class Incoming {
  /** Datagrams are delivered right now, and what is sent goes out when that is done. */
  isDelivering = false;
  /** Where the datagram that is delivered came from; null where there is none. */
  source: Address | null = null;
  /** Its socket address: slot `slot` of these. */
  names: Int32Array;
  slot = 0;
  readonly #options: IncomingOptions;
  readonly #backlog = createBacklog();
  #isDue = false;
  #isOpen = true;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.names = options.arena.names;
  }

  /** Something waits in the system's buffer: there will be a turn for it, behind what the event loop does now. */
  ready(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#dueTurn);
  }

  readonly #dueTurn = (): void => {
    this.#isDue = false;
    this.turn();
  };

  /** Delivers what was kept, then what waits in the system's buffer, as long as there is time; keeps the rest. */
  turn(): void {
    if (!this.#isOpen) return;
    this.isDelivering = true;
    this.#drain(this.#deliverKept(BATCHES_A_TURN));
    this.isDelivering = false;
    this.#options.flush();
    if (this.#backlog.count > 0) this.ready();
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.#isOpen = false;
  }

  /** At most so many batches; the number that is left. */
  #deliverKept(batchesMax: number): number {
    const backlog = this.#backlog;
    let batchesLeft = batchesMax;
    for (; batchesLeft > 0 && backlog.count > 0; batchesLeft--) {
      for (let i = 0; i < BATCH && backlog.count > 0; i++) {
        this.#deliver(backlog.first(), backlog.names, backlog.firstSlot);
        backlog.drop();
      }
      this.source = null;
      this.#options.flush();
    }
    return batchesLeft;
  }

  #drain(batchesMax: number): void {
    const { arena, receive, flush, onComing } = this.#options;
    let batchesLeft = batchesMax;
    // Where there is no more room in memory, what waits stays in the buffer of the system.
    let hasRoom = true;
    for (let count = BATCH; this.#isOpen && count === BATCH && hasRoom && this.#backlog.hasRoom(BATCH);) {
      for (let slot = 0; slot < BATCH; slot++) arena.setNameLength(slot, NAME_BYTES_MAX);
      count = receive(arena.headers(0));
      const hasTime = batchesLeft-- > 0 && this.#backlog.count === 0;
      if (hasTime && onComing) for (let slot = 0; slot < count; slot++) onComing(arena.received(slot));
      for (let slot = 0; slot < count; slot++) {
        const bytes = arena.received(slot);
        if (hasTime) this.#deliver(bytes, arena.names, slot);
        else hasRoom = this.#backlog.add(bytes, 0, bytes.length, arena.names, slot) && hasRoom;
      }
      this.source = null;
      flush();
    }
  }

  #deliver(bytes: Buffer, names: Int32Array, slot: number): void {
    // The handler may have closed it.
    if (!this.#isOpen) return;
    this.source = this.#options.readName(names, slot);
    this.names = names;
    this.slot = slot;
    try {
      this.#options.onDatagram(bytes, this.source);
    } catch (error) {
      // As dgram does: it ends the process, or whoever catches it there goes on with the next datagram.
      process.nextTick(rethrow, error);
    }
  }
}
