// Plays the sentences of an answer one after another without a gap (Web Audio), and tells which one sounds.

/** @typedef {{ n: number, text: string, samples: AudioBuffer }} Sentence */

export class Player {
  constructor() {
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {GainNode | null} */
    this.gain = null;
    this.volume = Number(localStorage.getItem("volume") ?? 1);
    this.speed = Number(localStorage.getItem("speed") ?? 1);
    /** The moment, by the clock of the context, at which all that is queued has sounded. */
    this.until = 0;
    /** @type {Set<AudioBufferSourceNode>} */
    this.sources = new Set();
    /** @type {Promise<unknown>} */
    this.order = Promise.resolve();
    this.turn = 0;
    this.queued = 0;
    /** @type {(text: string | null) => void} */
    this.onSentence = () => {};
    /** @type {() => void} */
    this.onFirstSound = () => {};
    /** @type {() => void} */
    this.onSilence = () => {};
  }

  /** To be called while the reader does something: a browser lets no page sound before. */
  unlock() {
    if (!this.context) {
      this.context = new AudioContext();
      this.gain = this.context.createGain();
      this.gain.gain.value = this.volume;
      this.gain.connect(this.context.destination);
    }
    void this.context.resume();
    return this.context;
  }

  /** Begins another answer: what sounds is over. */
  begin() {
    this.turn++;
    this.order = Promise.resolve();
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
    this.queued = 0;
    this.until = 0;
    this.hasSounded = false;
    this.onSentence(null);
  }

  get isSounding() {
    return this.queued > 0;
  }

  /**
   * A sentence to be heard behind those before it.
   * @param {string} text
   * @param {ArrayBuffer} wav
   */
  add(text, wav) {
    const turn = this.turn;
    const context = this.unlock();
    this.queued++;
    const decoded = context.decodeAudioData(wav);
    this.order = this.order.then(async () => {
      try {
        const samples = await decoded;
        if (turn === this.turn) this.play(context, text, stretched(context, samples, this.speed));
      } catch {
        // What cannot be decoded is not heard; its text is there.
        if (turn === this.turn) this.isOver();
      }
    });
  }

  /**
   * @param {AudioContext} context
   * @param {string} text
   * @param {AudioBuffer} samples
   */
  play(context, text, samples) {
    const source = context.createBufferSource();
    source.buffer = samples;
    source.connect(/** @type {GainNode} */ (this.gain));
    const at = Math.max(this.until, context.currentTime + 0.03);
    this.until = at + samples.duration;
    source.start(at);
    this.sources.add(source);
    const turn = this.turn;
    setTimeout(() => {
      if (turn !== this.turn) return;
      if (!this.hasSounded) this.onFirstSound();
      this.hasSounded = true;
      this.onSentence(text);
    }, Math.max(0, at - context.currentTime) * 1000);
    source.onended = () => {
      this.sources.delete(source);
      this.isOver();
    };
  }

  isOver() {
    this.queued--;
    if (this.queued === 0) {
      this.onSentence(null);
      this.onSilence();
    }
  }

  /** @param {number} volume from 0 to 1 */
  setVolume(volume) {
    this.volume = volume;
    localStorage.setItem("volume", String(volume));
    if (this.gain) this.gain.gain.value = volume;
  }

  /** @param {number} speed for the sentences to come; 1 as they were spoken */
  setSpeed(speed) {
    this.speed = speed;
    localStorage.setItem("speed", String(speed));
  }
}

/**
 * The same voice, slower or faster (WSOLA: pieces are laid over one another where they are most alike).
 * @param {AudioContext} context
 * @param {AudioBuffer} buffer
 * @param {number} speed
 */
function stretched(context, buffer, speed) {
  if (speed === 1) return buffer;
  const rate = buffer.sampleRate;
  const [piece, search] = [Math.round(rate * 0.03), Math.round(rate * 0.008)];
  const step = piece >> 1;
  const from = buffer.getChannelData(0);
  const length = Math.max(1, Math.floor(from.length / speed));
  const to = new Float32Array(length + piece);
  const window = Float32Array.from({ length: piece }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / piece));
  let natural = 0;
  for (let at = 0; at < length; at += step) {
    const ideal = Math.round(at * speed);
    let best = Math.min(ideal, from.length - 1);
    let alike = -Infinity;
    for (let shift = -search; at && shift <= search; shift += 4) {
      const start = ideal + shift;
      if (start < 0 || start + step >= from.length || natural + step >= from.length) continue;
      let sum = 0;
      for (let i = 0; i < step; i += 4) sum += from[start + i] * from[natural + i];
      if (sum > alike) [alike, best] = [sum, start];
    }
    for (let i = 0; i < piece && best + i < from.length; i++) to[at + i] += from[best + i] * window[i];
    natural = best + step;
  }
  const result = context.createBuffer(1, length, rate);
  result.copyToChannel(to.subarray(0, length), 0);
  return result;
}

/** @param {string} base64 */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}
