import { FifoReader, type Fifos, FifoWriter, removeFifos } from "./fifo.ts";

/** The streams of an init or exec as their client holds them. */
export class Streams {
  readonly fifos: Fifos;
  readonly stdout: FifoReader;
  readonly stderr: FifoReader;

  constructor(fifos: Fifos) {
    this.fifos = fifos;
    this.stdout = new FifoReader(fifos.stdout);
    this.stderr = new FifoReader(fifos.stderr);
  }

  stdin(): Promise<FifoWriter> {
    return FifoWriter.open(this.fifos.stdin);
  }

  close(): void {
    this.stdout.close();
    this.stderr.close();
    removeFifos(this.fifos);
  }
}
