// The microphone: pieces of sound as they come, and a recording as a WAV file.

/** What recognisers work on, in samples per second. */
const RATE = 16000;

/** It was closed before it was open. */
export class Closed extends Error {}

export class Microphone {
  /** @param {(piece: Float32Array, rate: number) => void} hear */
  constructor(hear) {
    this.hear = hear;
    /** @type {Promise<void> | null} */
    this.opening = null;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {MediaStream | null} */
    this.stream = null;
  }

  /** Asks for leave where that is needed, and begins to listen. */
  open() {
    if (!this.opening) {
      const opening = this.begin(() => this.opening === opening);
      this.opening = opening;
      opening.catch(() => {
        if (this.opening === opening) this.close();
      });
    }
    return this.opening;
  }

  /** @param {() => boolean} isWanted still */
  async begin(isWanted) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    if (!isWanted()) {
      stream.getTracks().forEach((track) => track.stop());
      throw new Closed();
    }
    this.stream = stream;
    const context = new AudioContext();
    this.context = context;
    await context.audioWorklet.addModule(new URL("recorder.worklet.js", import.meta.url));
    if (!isWanted()) throw new Closed();
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }) => this.hear(data, context.sampleRate);
    context.createMediaStreamSource(stream).connect(recorder);
  }

  close() {
    this.opening = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    void this.context?.close();
    this.context = this.stream = null;
  }
}

/**
 * @param {Float32Array[]} pieces
 * @param {number} rate of these
 * @returns {Promise<Blob>} a WAV file of one channel and 16 bits
 */
export async function wavOf(pieces, rate) {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const offline = new OfflineAudioContext(1, Math.max(1, Math.ceil((length * RATE) / rate)), RATE);
  const buffer = offline.createBuffer(1, Math.max(1, length), rate);
  let at = 0;
  for (const piece of pieces) {
    buffer.copyToChannel(/** @type {Float32Array<ArrayBuffer>} */ (piece), 0, at);
    at += piece.length;
  }
  const source = offline.createBufferSource();
  source.buffer = buffer;
  source.connect(offline.destination);
  source.start();
  const samples = (await offline.startRendering()).getChannelData(0);
  const file = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const mark = (/** @type {number} */ place, /** @type {string} */ text) =>
    [...text].forEach((letter, i) => file.setUint8(place + i, letter.charCodeAt(0)));
  mark(0, "RIFF");
  file.setUint32(4, 36 + samples.length * 2, true);
  mark(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true);
  file.setUint16(22, 1, true);
  file.setUint32(24, RATE, true);
  file.setUint32(28, RATE * 2, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  mark(36, "data");
  file.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => file.setInt16(44 + i * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([file], { type: "audio/wav" });
}
